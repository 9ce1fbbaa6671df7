// Signatures for Huiyuan, with the standard library alone. Runs on your server: the SecretKey never leaves it.
//
//	go run sign.go upload [FILEID [SECONDS]]   any number of times; without FILEID any file of the bucket
//	go run sign.go copy FILEID                 once
//	go run sign.go delete FILEID               once
//	go run sign.go download FILEID [SECONDS]   prints a signed URL
package main

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"math/rand"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Place is a bucket and the key pair of its project.
type Place struct{ Appid, Bucket, SecretID, SecretKey string }

// Token signs. expires, now: Unix seconds; expires 0 means one use. fileid as it is, never URL-encoded; "" for any file.
func (p Place) Token(expires, now int64, random uint32, fileid string) string {
	plaintext := fmt.Sprintf("a=%s&b=%s&k=%s&e=%d&t=%d&r=%d&u=0&f=%s",
		p.Appid, p.Bucket, p.SecretID, expires, now, random, fileid)
	mac := hmac.New(sha1.New, []byte(p.SecretKey))
	mac.Write([]byte(plaintext))
	return base64.StdEncoding.EncodeToString(append(mac.Sum(nil), plaintext...))
}

// DownloadURL carries a token: percent-encoded here, as it is in an Authorization header.
func DownloadURL(base, fileid, token string) string {
	segments := strings.Split(fileid, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return base + "/" + strings.Join(segments, "/") + "?sign=" + url.QueryEscape(token)
}

func main() {
	args := append(os.Args[1:], "", "")
	operation, fileid := args[0], args[1]
	life := int64(600)
	if len(os.Args) > 3 {
		life = number(os.Args[3])
	}
	// Both are set for known answers only.
	now, random := time.Now().Unix(), rand.Uint32()
	if text := os.Getenv("SIGN_NOW"); text != "" {
		now = number(text)
	}
	if text := os.Getenv("SIGN_RANDOM"); text != "" {
		random = uint32(number(text))
	}
	expires := now + life
	if operation == "copy" || operation == "delete" {
		expires = 0
	}
	place := Place{os.Getenv("HUIYUAN_APPID"), os.Getenv("HUIYUAN_BUCKET"),
		os.Getenv("HUIYUAN_SECRET_ID"), os.Getenv("HUIYUAN_SECRET_KEY")}
	token := place.Token(expires, now, random, fileid)
	if operation == "download" {
		token = DownloadURL(os.Getenv("HUIYUAN_DOWNLOADS"), fileid, token)
	}
	fmt.Println(token)
}

func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return value
}
