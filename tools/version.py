#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the version in include/clattn/version.h, its only home."""
import pathlib
import re

header = pathlib.Path(__file__).resolve().parent.parent / "include/clattn/version.h"
print(re.search(r'CLATTN_VERSION_STRING "([^"]+)"', header.read_text())[1])
