package wechat

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"clientele/limits"
	"clientele/models"
)

// success is the answer that ends the platform's retries without a reply to the customer. Anything
// else in a 200 shows the customer that the account is out of order. Source: WeChat official
// account documentation: passive replies.
const success = "success"

// CallbackHandler answers the platform at /wechat/{callback}, one URL per account (rule K1); the
// path value "callback" is the account's callback id. Safe for concurrent use.
//
//	GET   the check the console makes when the URL is set: echostr, if the signature is right
//	POST  one message or event: "success", once the Ingester has stored it
//
//	200   stored, or known already
//	400   signed rightly, but no callback: malformed, or ids beyond their sizes
//	403   everything that is not proved to come from the platform, with one body for all: unknown
//	      callback id, wrong signature, timestamp more than limits.CallbackSkew from our clock, a
//	      plain body in secure mode, a body that cannot be decrypted, another account's gh_ id
//	405   another method
//	413   body above limits.CallbackBodyBytes
//	503   not stored within limits.CallbackTime, or not at all: the platform sends it again, three
//	      times in all
//
// The signature covers the address (token, timestamp, nonce) and is checked before a byte of the
// body is read, so that unsigned requests cost nothing. An unknown id is checked against a token
// that nobody has: it takes the same path and gets the same answer as a wrong signature. A recorded
// request that is sent again is refused once its timestamp is stale. Before that it is harmless
// without a memory of nonces, which nodes would have to share: it brings the same DedupKey and is
// stored once. (In ModePlain its body can be another: see there.)
type CallbackHandler struct {
	accounts Accounts
	ingester Ingester
	now      func() time.Time
	log      *slog.Logger
	nobody   Callback
}

// NewCallbackHandler makes the handler. Only ids go to log: the account's key, the kind and a
// digest of the dedup key, never a text, a token, an openid or a callback id.
func NewCallbackHandler(a Accounts, i Ingester, now func() time.Time, log *slog.Logger) *CallbackHandler {
	return &CallbackHandler{
		accounts: a, ingester: i, now: now, log: log,
		nobody: Callback{Mode: ModeSecure, Tokens: []string{rand.Text()}},
	}
}

// refusal is an answer other than 200. The reason is for the log only.
type refusal struct {
	status int
	reason string
}

func (r *refusal) Error() string { return r.reason }

func forbidden(reason string) error   { return &refusal{http.StatusForbidden, reason} }
func unavailable(reason string) error { return &refusal{http.StatusServiceUnavailable, reason} }

// ServeHTTP implements http.Handler.
func (h *CallbackHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), limits.CallbackTime)
	defer cancel()

	query := r.URL.Query()
	c, err := h.authenticate(ctx, r.PathValue("callback"), query)
	answer := success
	switch {
	case err != nil:
	case r.Method == http.MethodGet:
		answer = query.Get("echostr")
	default:
		err = h.receive(ctx, w, r, c, query)
	}
	if err != nil {
		h.refuse(ctx, w, c, err)
		return
	}
	// The type and nosniff keep an echoed string from being taken for a page.
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, answer) // a platform that has hung up sends again
}

// refuse answers err and logs it. It ends the connection, for otherwise the server would read the
// rest of a body that nobody asked for.
func (h *CallbackHandler) refuse(ctx context.Context, w http.ResponseWriter, c Callback, err error) {
	no := &refusal{http.StatusBadRequest, err.Error()}
	if !errors.As(err, &no) && models.CodeOf(err) == models.CodeLimitExceeded {
		no.status = http.StatusRequestEntityTooLarge
	}
	level := slog.LevelWarn
	switch {
	case no.status == http.StatusServiceUnavailable:
		level = slog.LevelError
	case c.Account.IsZero():
		level = slog.LevelDebug // anyone can ask for an unknown id, as often as they like
	}
	h.log.Log(ctx, level, "wechat callback refused",
		"account", c.Account.String(), "status", no.status, "reason", no.reason)
	w.Header().Set("Connection", "close")
	http.Error(w, http.StatusText(no.status), no.status)
}

// authenticate finds the account and checks the signature of the address and its timestamp.
func (h *CallbackHandler) authenticate(ctx context.Context, id string, query url.Values) (Callback, error) {
	c, err := h.accounts.Callback(ctx, id)
	timestamp := query.Get("timestamp")
	right := err == nil && signed(query.Get("signature"), c.Tokens, timestamp, query.Get("nonce"))
	if err == nil && !right {
		c, err = h.accounts.CallbackNow(ctx, id)
	}
	known := err == nil
	switch {
	case right:
	case models.CodeOf(err) == models.CodeNotFound:
		c = h.nobody
	case err != nil:
		return Callback{}, unavailable("the account could not be read: " + string(models.CodeOf(err)))
	}
	right = right || signed(query.Get("signature"), c.Tokens, timestamp, query.Get("nonce"))
	switch fresh := h.fresh(timestamp); {
	case !known:
		return Callback{}, forbidden("unknown callback id")
	case !right:
		return c, forbidden("wrong signature")
	case !fresh:
		return c, forbidden("stale timestamp")
	}
	return c, nil
}

// fresh reports whether timestamp is within limits.CallbackSkew of our clock. The platform signs
// each try anew; an older request is somebody's recording.
func (h *CallbackHandler) fresh(timestamp string) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	now := h.now()
	return err == nil &&
		seconds >= now.Add(-limits.CallbackSkew).Unix() && seconds <= now.Add(limits.CallbackSkew).Unix()
}

// receive reads, proves and stores the body of a request whose address is signed.
func (h *CallbackHandler) receive(
	ctx context.Context, w http.ResponseWriter, r *http.Request, c Callback, query url.Values,
) error {
	body, err := readBody(ctx, w, r)
	if err != nil {
		return err
	}
	m, err := ParseMessage(body)
	if err != nil {
		return err
	}
	opened, err := h.open(c, m, query)
	if no := (*refusal)(nil); errors.As(err, &no) && no.status == http.StatusForbidden {
		// Perhaps by a mode or key that has been changed.
		if now, again := h.accounts.CallbackNow(ctx, r.PathValue("callback")); again == nil && now.Account == c.Account {
			opened, err = h.open(now, m, query)
		}
	}
	if err != nil {
		return err
	}
	m = opened
	if c.OriginalID != "" && m.ToUserName != c.OriginalID {
		return forbidden("addressed to another account")
	}
	in, err := m.Inbound(h.now())
	if err != nil {
		return err
	}
	item := []any{"account", c.Account.String(), "kind", string(in.Kind), "dedup", digest(in.DedupKey)[:16]}
	if err := h.ingester.Ingest(ctx, c.Account, in); err != nil {
		// The code, not the text: a database quotes the values that it refuses.
		h.log.ErrorContext(ctx, "wechat callback not stored", append(item, "code", string(models.CodeOf(err)))...)
		return unavailable("not stored")
	}
	h.log.DebugContext(ctx, "wechat callback stored", item...)
	return nil
}

// readBody reads the body within the handler's time and limits.CallbackBodyBytes.
func readBody(ctx context.Context, w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := models.TooMany("body", limits.CallbackBodyBytes, "the callback is too large")
	if r.ContentLength > limits.CallbackBodyBytes {
		return nil, tooLarge
	}
	// A context does not interrupt a read from the connection, a deadline does; where the writer
	// has none (HTTP/1 and HTTP/2 servers have), the server's own limits stand.
	control := http.NewResponseController(w)
	if deadline, ok := ctx.Deadline(); ok {
		_ = control.SetReadDeadline(deadline)
		defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	}
	var body []byte
	var err error
	if length := r.ContentLength; length >= 0 {
		body = make([]byte, length)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, limits.CallbackBodyBytes))
	}
	var over *http.MaxBytesError
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &over):
		return nil, tooLarge
	case ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded):
		return nil, unavailable("the body did not arrive in time")
	}
	return nil, malformed("the body broke off")
}

// open is the message that the body proves: the encrypted one if there is one, whatever stands
// beside it, else the body itself where the mode allows that.
//
// An account in ModePlain without AES keys reads the plain part of a compatible body, so that the
// console's mode can be changed before ours.
func (h *CallbackHandler) open(c Callback, m Message, query url.Values) (Message, error) {
	plain := c.Mode == ModePlain || c.Mode == ModeCompatible
	encrypted := m.Encrypt != ""
	if encrypted && c.Mode == ModePlain && len(c.AESKeys) == 0 {
		return m, nil
	}
	switch {
	case !encrypted && !plain:
		return Message{}, forbidden("plain body in secure mode")
	case !encrypted && query.Get("encrypt_type") == "aes":
		// The address says encrypted: somebody took the encrypted part out.
		return Message{}, forbidden("encrypted part missing")
	case !encrypted:
		return m, nil
	}
	if !signed(query.Get("msg_signature"), c.Tokens, query.Get("timestamp"), query.Get("nonce"), m.Encrypt) {
		return Message{}, forbidden("wrong msg_signature")
	}
	for _, key := range c.AESKeys {
		box, err := NewCipher(key, c.AppID)
		if err != nil {
			continue // a key that is none admits nothing; the others may
		}
		if message, err := box.Decrypt(m.Encrypt); err == nil {
			return ParseMessage(message)
		}
	}
	return Message{}, forbidden(ErrDecrypt.Error())
}
