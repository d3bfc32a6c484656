package wechat

// EncryptWith is Encrypt under given random bytes, to compare with published examples.
func (c *Cipher) EncryptWith(random string, message []byte) string {
	return c.encrypt([randomBytes]byte([]byte(random)), message)
}

// EncryptRaw encrypts a whole plaintext, padding and all, to make bodies that no sender would.
func (c *Cipher) EncryptRaw(plain []byte) string { return c.encryptRaw(plain) }

// Bounds of parsing, and the mark of a cut text.
const (
	XMLDepth    = xmlDepth
	XMLElements = xmlElements
	CutMark     = cutMark
)

// The two ways to read a callback.
var (
	ScanMessage = scanMessage
	ParseXML    = parseXML
)
