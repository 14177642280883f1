#!/bin/sh
# A small scripted agent that speaks JSON lines. It needs no model, and only what busybox has.
#
# usage: json-lines.sh FILE [ID]
#   FILE   holds the message
#   ID     resumes the conversation of that id; without it a new one begins, and the agent says its id
# It can be given to a shell as a text as well: sh -c TEXT json-lines FILE [ID]
#
# What it prints, one JSON value a line:
#   {"type":"session","session_id":"c-1"}
#   {"type":"tool","name":"write","file":"notes.txt"}
#   {"type":"message","text":"…"}
#   {"type":"question","question":"…"}
#   {"type":"result","usage":{"input_tokens":12,"output_tokens":3,"cache_read_tokens":0,"cache_write_tokens":0}}
#
# The pointers for it are /text, /question, /session_id, and /usage/input_tokens and so on.
#
# What it does, by the first word of each line of the message:
#   say TEXT      says the text
#   ask TEXT      asks the question; the turn ends as always, the answer is another message
#   recall        says how many turns the conversation had before, and what the agent was told in them
#   write NAME TEXT   writes the text to a file of the working directory
#   read NAME     says what a file of the working directory holds
#   env NAME      says the value of an environment variable, or `not set`
#   plain TEXT    prints the text as it is, which is no JSON
#   sleep N       sleeps N seconds
#   exit CODE     ends with the code, at once
# Any other line it takes for something to remember, and says `noted`.
#
# The conversation is a file in $HOME/conversations, with the first line of each message that was dealt with. The usage
# is made up: the input is the number of messages in the conversation, the output the number of texts that were said.
set -u

message=$1
id=${2:-}
folder=$HOME/conversations
mkdir -p "$folder"

# A text as a JSON string. Tabs and line ends become spaces; other control characters are not expected.
quote() {
    printf '"%s"' "$(printf '%s' "$1" | tr '\t\n' '  ' | sed 's/[\\"]/\\&/g')"
}

said=0
say() {
    said=$((said + 1))
    printf '{"type":"message","text":%s}\n' "$(quote "$1")"
}

if [ -z "$id" ]; then
    conversations=$(find "$folder" -type f | wc -l)
    id=c-$((conversations + 1))
    : >"$folder/$id"
elif [ ! -e "$folder/$id" ]; then
    echo "there is no conversation $id" >&2
    exit 3
fi
file=$folder/$id
printf '{"type":"session","session_id":%s}\n' "$(quote "$id")"

turns=0
told=
while IFS= read -r line; do
    turns=$((turns + 1))
    told="$told${told:+, }$line"
done <"$file"

first=
while IFS= read -r line || [ -n "$line" ]; do
    first=${first:-$line}
    word=${line%% *}
    rest=${line#"$word"}
    rest=${rest# }
    case $word in
        say) say "$rest" ;;
        ask) printf '{"type":"question","question":%s}\n' "$(quote "$rest")" ;;
        recall) say "$turns turns before: $told" ;;
        write)
            printf '%s\n' "${rest#* }" >"${rest%% *}" || exit 4
            printf '{"type":"tool","name":"write","file":%s}\n' "$(quote "${rest%% *}")"
            ;;
        read)
            content=$(cat "$rest") || exit 4
            say "$content"
            ;;
        env)
            value=$(env | sed -n "s/^$rest=//p")
            say "${value:-not set}"
            ;;
        plain) printf '%s\n' "$rest" ;;
        sleep) sleep "$rest" ;;
        exit) exit "$rest" ;;
        '') ;;
        *) say noted ;;
    esac
done <"$message"

printf '%s\n' "$first" >>"$file"
printf '{"type":"result","usage":{"input_tokens":%d,"output_tokens":%d,"cache_read_tokens":0,"cache_write_tokens":0}}\n' \
    $((turns + 1)) "$said"
