package webcall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// ErrForbidden says that a name leads to an address that is not called.
var ErrForbidden error = forbidden{}

type forbidden struct{}

// Error implements error.
func (forbidden) Error() string { return "the address is this machine's or lies in a private network" }

// Forbidden marks the error for who cannot import this package.
func (forbidden) Forbidden() bool { return true }

// GuardedOptions say what a Guarded calls.
type GuardedOptions struct {
	// Private has it call http and any address.
	Private bool
	// ConnectTime is how long a connection may take, and as long again TLS.
	ConnectTime time.Duration
	// Own reads the addresses of this machine, when a connection is made: none of them is called, though their numbers are public. What it
	// cannot read is not called either. nil: those of the interfaces.
	Own func() ([]net.Addr, error)
	// AnswerBytes is how much of an answer is read, and dropped.
	AnswerBytes int64
}

// Guarded posts to addresses that strangers choose: https alone, to public addresses alone that are not this machine's, which is decided where the connection is
// made, whatever a name led to before. It follows no redirect and goes through no proxy. Safe for concurrent use.
type Guarded struct {
	http *http.Client
	GuardedOptions
}

// NewGuarded makes one with connections of its own.
func NewGuarded(o GuardedOptions) *Guarded {
	if o.Own == nil {
		o.Own = net.InterfaceAddrs
	}
	dialer := &net.Dialer{Timeout: o.ConnectTime}
	if !o.Private {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !IsPublic(to.Addr()) {
				return ErrForbidden
			}
			own, err := o.Own()
			if err != nil {
				return fmt.Errorf("read this machine's addresses: %w", err)
			}
			if IsOf(own, to.Addr()) {
				return ErrForbidden
			}
			return nil
		}
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	const headerBytes = 32 << 10
	return &Guarded{GuardedOptions: o, http: &http.Client{
		Transport: &http.Transport{
			Proxy:       nil, // one would be asked for addresses that this must not reach
			DialContext: dialer.DialContext, TLSHandshakeTimeout: o.ConnectTime, MaxIdleConnsPerHost: 1, IdleConnTimeout: idleTime,
			MaxResponseHeaderBytes: headerBytes, DisableCompression: true, Protocols: protocols,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Post posts a body, and answers the status and what the header Retry-After says; what else is answered is dropped. ctx ends it. ErrForbidden is
// among the errors.
func (g *Guarded) Post(ctx context.Context, address string, header http.Header, body []byte) (status int, retryAfter string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, "", errors.New("the address cannot be called")
	}
	if r.URL.Scheme != "https" && !g.Private {
		return 0, "", ErrForbidden
	}
	if r.Header = header.Clone(); r.Header == nil {
		r.Header = http.Header{}
	}
	// Not sent: it says that the request may be made again when a kept connection turns out to be closed.
	r.Header["Idempotency-Key"] = []string{}
	answer, err := g.http.Do(r)
	if err != nil {
		return 0, "", fmt.Errorf("post: %w", withoutAddress(err))
	}
	defer answer.Body.Close()
	// What breaks behind the status changes nothing: it has answered.
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, g.AnswerBytes))
	return answer.StatusCode, answer.Header.Get("Retry-After"), nil
}

// withoutAddress takes the address off an error of a request: it may hold a secret.
func withoutAddress(err error) error {
	if of := (*url.Error)(nil); errors.As(err, &of) {
		return of.Err
	}
	return err
}

// CloseIdle closes the connections that are kept for later.
func (g *Guarded) CloseIdle() { g.http.CloseIdleConnections() }

// closed are ranges of addresses that are no receivers of the public network, beside those that netip knows by name.
var closed = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),    // of providers; a cloud's metadata too
	netip.MustParsePrefix("168.63.129.16/32"), // a cloud's own
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), // protocols, tunnels
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // leads to an IPv4 address
	netip.MustParsePrefix("3fff::/20"),
}

// global is what of IPv6 is given out; the rest leads inside, or to IPv4 addresses.
var global = netip.MustParsePrefix("2000::/3")

// IsPublic reports whether an address is one of the public network: not of this machine, a private network, a link, a group, nor reserved.
func IsPublic(a netip.Addr) bool {
	a = a.Unmap()
	if a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !global.Contains(a) {
		return false
	}
	for _, p := range closed {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// IsOf reports whether an address is among those of interfaces, however either is written. Their networks are not asked about: others live there too.
func IsOf(own []net.Addr, a netip.Addr) bool {
	for _, o := range own {
		var ip net.IP
		switch o := o.(type) {
		case *net.IPNet:
			ip = o.IP
		case *net.IPAddr:
			ip = o.IP
		}
		if of, ok := netip.AddrFromSlice(ip); ok && of.Unmap() == a.Unmap().WithZone("") {
			return true
		}
	}
	return false
}
