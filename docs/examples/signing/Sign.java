// Signatures for Huiyuan, with the JDK alone (11 or later). Runs on your server: the SecretKey never leaves it.
//   java Sign.java upload [FILEID [SECONDS]]   any number of times; without FILEID any file of the bucket
//   java Sign.java copy FILEID                 once
//   java Sign.java delete FILEID               once
//   java Sign.java download FILEID [SECONDS]   prints a signed URL
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.PrintStream;
import java.net.URLEncoder;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public final class Sign {
  private final String appid;
  private final String bucket;
  private final String secretId;
  private final String secretKey;

  public Sign(String appid, String bucket, String secretId, String secretKey) {
    this.appid = appid;
    this.bucket = bucket;
    this.secretId = secretId;
    this.secretKey = secretKey;
  }

  /** expires, now: Unix seconds; expires 0 means one use. fileid as it is, never URL-encoded; "" for any file. */
  public String token(long expires, long now, long random, String fileid) throws GeneralSecurityException {
    String text = "a=" + appid + "&b=" + bucket + "&k=" + secretId
        + "&e=" + expires + "&t=" + now + "&r=" + random + "&u=0&f=" + fileid;
    byte[] plaintext = text.getBytes(UTF_8);
    Mac hmac = Mac.getInstance("HmacSHA1");
    hmac.init(new SecretKeySpec(secretKey.getBytes(UTF_8), "HmacSHA1"));
    byte[] mac = hmac.doFinal(plaintext);
    byte[] signed = new byte[mac.length + plaintext.length];
    System.arraycopy(mac, 0, signed, 0, mac.length);
    System.arraycopy(plaintext, 0, signed, mac.length, plaintext.length);
    return Base64.getEncoder().encodeToString(signed);
  }

  /** In a URL the token is percent-encoded, in an Authorization header it is not. */
  public static String downloadUrl(String base, String fileid, String token) {
    return base + "/" + encode(fileid).replace("%2F", "/") + "?sign=" + encode(token);
  }

  /** The JDK's encoder is made for forms, where a blank is a plus. */
  private static String encode(String text) {
    return URLEncoder.encode(text, UTF_8).replace("+", "%20");
  }

  public static void main(String[] args) throws GeneralSecurityException {
    String operation = args[0];
    String fileid = args.length > 1 ? args[1] : "";
    long life = args.length > 2 ? Long.parseLong(args[2]) : 600;
    Map<String, String> env = System.getenv();
    // Both are set for known answers only.
    long now = Long.parseLong(env.getOrDefault("SIGN_NOW", String.valueOf(System.currentTimeMillis() / 1000)));
    long random = Long.parseLong(env.getOrDefault("SIGN_RANDOM", String.valueOf(new SecureRandom().nextInt() & 0xffffffffL)));
    long expires = operation.equals("copy") || operation.equals("delete") ? 0 : now + life;
    Sign sign = new Sign(env.get("HUIYUAN_APPID"), env.get("HUIYUAN_BUCKET"), env.get("HUIYUAN_SECRET_ID"),
        env.get("HUIYUAN_SECRET_KEY"));
    String token = sign.token(expires, now, random, fileid);
    String result = operation.equals("download") ? downloadUrl(env.get("HUIYUAN_DOWNLOADS"), fileid, token) : token;
    new PrintStream(System.out, true, UTF_8).println(result);
  }
}
