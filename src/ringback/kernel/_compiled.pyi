# SPDX-License-Identifier: Apache-2.0
"""What does the compiled kernel offer? What the reference does."""

from ringback.kernel._reference import EVENT as EVENT
from ringback.kernel._reference import STRAY as STRAY
from ringback.kernel._reference import UNSENT as UNSENT
from ringback.kernel._reference import DatagramBatch as DatagramBatch
from ringback.kernel._reference import Door as Door
from ringback.kernel._reference import Head as Head
from ringback.kernel._reference import RelayBoard as RelayBoard
from ringback.kernel._reference import RelayPath as RelayPath
from ringback.kernel._reference import Tape as Tape
from ringback.kernel._reference import auth_parameters as auth_parameters
from ringback.kernel._reference import edit_request as edit_request
from ringback.kernel._reference import keyed_hash as keyed_hash
from ringback.kernel._reference import message_end as message_end
from ringback.kernel._reference import peek as peek
from ringback.kernel._reference import pop_via as pop_via
from ringback.kernel._reference import respond as respond
from ringback.kernel._reference import scan as scan
from ringback.kernel._reference import split_head as split_head
from ringback.kernel._reference import without_secrets as without_secrets
