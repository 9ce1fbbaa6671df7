<?php
// Signatures for Huiyuan, without any extension. Runs on your server: the SecretKey never leaves it.
//   php sign.php upload [FILEID [SECONDS]]   any number of times; without FILEID any file of the bucket
//   php sign.php copy FILEID                 once
//   php sign.php delete FILEID               once
//   php sign.php download FILEID [SECONDS]   prints a signed URL
declare(strict_types=1);

/** $expires, $now: Unix seconds; $expires 0 means one use. $fileid as it is, never URL-encoded. */
function makeToken(array $place, int $expires, int $now, int $random, string $fileid = ''): string
{
    [$appid, $bucket, $secretId, $secretKey] = $place;
    $plaintext = "a=$appid&b=$bucket&k=$secretId&e=$expires&t=$now&r=$random&u=0&f=$fileid";
    return base64_encode(hash_hmac('sha1', $plaintext, $secretKey, true) . $plaintext);
}

/** In a URL the token is percent-encoded, in an Authorization header it is not. */
function downloadUrl(string $base, string $fileid, string $token): string
{
    $path = implode('/', array_map('rawurlencode', explode('/', $fileid)));
    return "$base/$path?sign=" . rawurlencode($token);
}

if (realpath($_SERVER['SCRIPT_FILENAME']) === __FILE__) {
    [, $operation, $fileid, $seconds] = $argv + [1 => '', 2 => '', 3 => '600'];
    $place = array_map('getenv', ['HUIYUAN_APPID', 'HUIYUAN_BUCKET', 'HUIYUAN_SECRET_ID', 'HUIYUAN_SECRET_KEY']);
    $now = (int) (getenv('SIGN_NOW') ?: time()); // both are set for known answers only
    $random = (int) (getenv('SIGN_RANDOM') ?: random_int(0, 2 ** 32 - 1));
    $expires = in_array($operation, ['copy', 'delete'], true) ? 0 : $now + (int) $seconds;
    $token = makeToken($place, $expires, $now, $random, $fileid);
    echo $operation === 'download' ? downloadUrl(getenv('HUIYUAN_DOWNLOADS'), $fileid, $token) : $token, "\n";
}
