#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Replays searches on all traces of a folder: CLATTN_TRACES=FOLDER replay_traces.sh REPLAY_SEARCH
# *.csv and *.csv.gz, see support/trace.h. Exit status 77: no folder, or no trace in it.
set -u
replay=$1
folder=${CLATTN_TRACES:-}
status=77
for trace in "$folder"/*.csv "$folder"/*.csv.gz; do
    [ -f "$trace" ] || continue
    [ "$status" = 77 ] && status=0
    echo "# $trace"
    gzip -dcf "$trace" | "$replay" - || status=1
done
[ "$status" = 77 ] && echo "1..0 # SKIP no traces: set CLATTN_TRACES to their folder"
exit "$status"
