#!/usr/bin/env python3
"""Signatures for Huiyuan, with the standard library alone. Runs on your server: the SecretKey never leaves it.

    sign.py upload [FILEID [SECONDS]]   any number of times; without FILEID any file of the bucket
    sign.py copy FILEID                 once
    sign.py delete FILEID               once
    sign.py download FILEID [SECONDS]   prints a signed URL
"""
import base64
import hashlib
import hmac
import os
import secrets
import sys
import time
from urllib.parse import quote


def make_token(place, expires, now, random, fileid=""):
    """expires, now: Unix seconds; expires 0 means one use. fileid as it is, never URL-encoded."""
    plaintext = "a={appid}&b={bucket}&k={secret_id}&e={e}&t={t}&r={r}&u=0&f={f}".format(
        e=expires, t=now, r=random, f=fileid, **place).encode("utf-8")
    mac = hmac.new(place["secret_key"].encode("utf-8"), plaintext, hashlib.sha1).digest()
    return base64.b64encode(mac + plaintext).decode("ascii")


def download_url(base, fileid, token):
    """In a URL the token is percent-encoded, in an Authorization header it is not."""
    return base + "/" + quote(fileid, safe="/") + "?sign=" + quote(token, safe="")


def main(operation, fileid="", seconds="600"):
    env = os.environ
    place = {name: env["HUIYUAN_" + name.upper()] for name in ("appid", "bucket", "secret_id", "secret_key")}
    now = int(env.get("SIGN_NOW", time.time()))  # both are set for known answers only
    random = int(env.get("SIGN_RANDOM", secrets.randbelow(2**32)))
    expires = 0 if operation in ("copy", "delete") else now + int(seconds)
    token = make_token(place, expires, now, random, fileid)
    print(download_url(env["HUIYUAN_DOWNLOADS"], fileid, token) if operation == "download" else token)


if __name__ == "__main__":
    main(*sys.argv[1:])
