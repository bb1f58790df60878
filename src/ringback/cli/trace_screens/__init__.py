# SPDX-License-Identifier: Apache-2.0
"""The screens of `ringback trace`: textual is imported only here."""
