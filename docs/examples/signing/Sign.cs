// Signatures for Huiyuan, with .NET's own library (any version). Runs on your server: the SecretKey never leaves it.
//   Sign upload [FILEID [SECONDS]]   any number of times; without FILEID any file of the bucket
//   Sign copy FILEID                 once
//   Sign delete FILEID               once
//   Sign download FILEID [SECONDS]   prints a signed URL
using System;
using System.Linq;
using System.Security.Cryptography;
using System.Text;

public sealed class Sign
{
    private readonly string appid, bucket, secretId, secretKey;

    public Sign(string appid, string bucket, string secretId, string secretKey)
    {
        this.appid = appid;
        this.bucket = bucket;
        this.secretId = secretId;
        this.secretKey = secretKey;
    }

    /// <summary>expires, now: Unix seconds; expires 0 means one use. fileid as it is, never URL-encoded.</summary>
    public string Token(long expires, long now, uint random, string fileid = "")
    {
        var text = $"a={appid}&b={bucket}&k={secretId}&e={expires}&t={now}&r={random}&u=0&f={fileid}";
        var plaintext = new UTF8Encoding(false).GetBytes(text);
        using (var hmac = new HMACSHA1(Encoding.UTF8.GetBytes(secretKey)))
        {
            return Convert.ToBase64String(hmac.ComputeHash(plaintext).Concat(plaintext).ToArray());
        }
    }

    /// <summary>In a URL the token is percent-encoded, in an Authorization header it is not.</summary>
    public static string DownloadUrl(string root, string fileid, string token)
    {
        var path = string.Join("/", fileid.Split('/').Select(Uri.EscapeDataString));
        return root + "/" + path + "?sign=" + Uri.EscapeDataString(token);
    }

    public static void Main(string[] args)
    {
        var operation = args[0];
        var fileid = args.Length > 1 ? args[1] : "";
        var life = args.Length > 2 ? long.Parse(args[2]) : 600;
        // Both are set for known answers only.
        var now = long.Parse(Env("SIGN_NOW") ?? DateTimeOffset.UtcNow.ToUnixTimeSeconds().ToString());
        var random = uint.Parse(Env("SIGN_RANDOM") ?? RandomNumber().ToString());
        var expires = operation == "copy" || operation == "delete" ? 0 : now + life;
        var sign = new Sign(Env("HUIYUAN_APPID"), Env("HUIYUAN_BUCKET"), Env("HUIYUAN_SECRET_ID"), Env("HUIYUAN_SECRET_KEY"));
        var token = sign.Token(expires, now, random, fileid);
        Console.WriteLine(operation == "download" ? DownloadUrl(Env("HUIYUAN_DOWNLOADS"), fileid, token) : token);
    }

    private static string Env(string name)
    {
        return Environment.GetEnvironmentVariable(name);
    }

    private static uint RandomNumber()
    {
        var bytes = new byte[4];
        using (var source = RandomNumberGenerator.Create()) source.GetBytes(bytes);
        return BitConverter.ToUInt32(bytes, 0);
    }
}
