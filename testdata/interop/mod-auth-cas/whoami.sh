#!/bin/sh
# A CGI program that says whom mod_auth_cas found.
printf 'Content-Type: text/plain; charset=utf-8\r\n\r\n'
echo "user=$REMOTE_USER"
env | sed -n 's/^HTTP_CAS_/attribute /p' | sort
