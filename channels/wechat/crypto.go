package wechat

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the platform's signature is SHA-1; there is no other.
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"clientele/models"
)

// The layout of an encrypted body: random, length, message, app id, padding. Source: WeChat
// official account documentation: message encryption and decryption, technical plan.
const (
	aesKeyChars = 43 // an EncodingAESKey: base64 of 32 bytes without its "="
	randomBytes = 16
	lengthBytes = 4
	headBytes   = randomBytes + lengthBytes
	padBlock    = 32 // PKCS#7 pads to 32 bytes here, not to AES's 16
)

// ErrDecrypt is the one answer to every body that cannot be decrypted, whatever is wrong with it
// (base64, length, padding, app id): a difference would tell a forger how far a guess got.
var ErrDecrypt = errors.New("the body cannot be decrypted")

// Signature is the platform's signature of parts: the SHA-1, in lower-case hexadecimal, of the
// parts sorted by bytes and joined. Source: WeChat official account documentation: access guide.
func Signature(parts ...string) string {
	sorted := slices.Clone(parts)
	slices.Sort(sorted)
	sum := sha1.Sum([]byte(strings.Join(sorted, ""))) //nolint:gosec // see the import.
	return hex.EncodeToString(sum[:])
}

// signed reports whether signature is that of parts and any one of tokens. It tries every token
// and compares in constant time, so that the time taken tells neither which token fitted nor how
// much of a guess did. An empty token admits nothing: anyone could sign with it.
func signed(signature string, tokens []string, parts ...string) bool {
	ok := 0
	for _, token := range tokens {
		want := Signature(append([]string{token}, parts...)...)
		equal := subtle.ConstantTimeCompare([]byte(want), []byte(signature))
		if token != "" {
			ok |= equal
		}
	}
	return ok == 1
}

// Cipher encrypts and decrypts the bodies of one app id under one AES key. Safe for concurrent
// use.
type Cipher struct {
	block cipher.Block
	iv    []byte
	appID []byte
}

// NewCipher makes the cipher of an EncodingAESKey (43 characters) and an app id (not empty).
// Anything else is INVALID; the error does not hold the key.
func NewCipher(aesKey, appID string) (*Cipher, error) {
	if appID == "" {
		return nil, models.Invalid("appId", "an app id is needed")
	}
	// Not strict about the last character's unused bits: the platform's own keys set them.
	key, err := base64.StdEncoding.DecodeString(aesKey + "=")
	if len(aesKey) != aesKeyChars || err != nil || len(key) != padBlock {
		return nil, models.Invalid("aesKey", "an AES key is %d letters and digits", aesKeyChars)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, models.Invalid("aesKey", "an AES key is %d letters and digits", aesKeyChars)
	}
	return &Cipher{block: block, iv: key[:aes.BlockSize], appID: []byte(appID)}, nil
}

// Encrypt is message in the form of an Encrypt element, under fresh random bytes.
func (c *Cipher) Encrypt(message []byte) string {
	var random [randomBytes]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the program instead
	return c.encrypt(random, message)
}

func (c *Cipher) encrypt(random [randomBytes]byte, message []byte) string {
	size := headBytes + len(message) + len(c.appID)
	pad := padBlock - size%padBlock
	b := make([]byte, 0, size+pad)
	b = append(b, random[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(message))) //nolint:gosec // far below 4 GiB.
	b = append(b, message...)
	b = append(b, c.appID...)
	for range pad {
		b = append(b, byte(pad))
	}
	return c.encryptRaw(b)
}

// encryptRaw encrypts in place what is laid out and padded already.
func (c *Cipher) encryptRaw(b []byte) string {
	cipher.NewCBCEncrypter(c.block, c.iv).CryptBlocks(b, b)
	return base64.StdEncoding.EncodeToString(b)
}

// Decrypt is the message inside an Encrypt element. Every failure is ErrDecrypt. Past the length
// of the input, which the sender knows, all checks are made whatever the earlier ones found. Check
// the message's signature first: CBC alone does not prove who wrote it.
func (c *Cipher) Decrypt(encrypted string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(encrypted)
	if err != nil || len(b) < padBlock || len(b)%padBlock != 0 {
		return nil, ErrDecrypt
	}
	cipher.NewCBCDecrypter(c.block, c.iv).CryptBlocks(b, b)

	pad, ok := padding(b)
	content := b[headBytes:max(headBytes, len(b)-pad)]
	length := uint64(binary.BigEndian.Uint32(b[randomBytes:headBytes]))
	if length > uint64(len(content)) {
		length, ok = 0, 0
	}
	ok &= subtle.ConstantTimeCompare(content[length:], c.appID)
	if ok != 1 {
		return nil, ErrDecrypt
	}
	return content[:length:length], nil
}

// padding is the length of the PKCS#7 padding of b, which is not shorter than padBlock, and 1;
// or some length within b and 0 if the padding is not whole. Its time does not depend on b.
func padding(b []byte) (n, ok int) {
	last := b[len(b)-1]
	n = int(last)
	ok = subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, padBlock)
	for i := 1; i <= padBlock; i++ {
		outside := subtle.ConstantTimeLessOrEq(n+1, i)
		ok &= outside | subtle.ConstantTimeByteEq(b[len(b)-i], last)
	}
	return subtle.ConstantTimeSelect(ok, n, 1), ok
}
