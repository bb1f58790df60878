# SPDX-License-Identifier: Apache-2.0
"""What is known of a call, while it is on and afterwards? One record of each, in one shape everywhere."""
