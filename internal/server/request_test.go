package server

import (
	"net/http"
	"net/netip"
	"testing"

	"clientele/internal/config"
)

func TestAddressOf(t *testing.T) {
	s := &Server{settings: config.Server{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy":                           {"203.0.113.7:4711", nil, "203.0.113.7"},
		"what an untrusted peer says":        {"203.0.113.7:4711", []string{"198.51.100.1"}, "203.0.113.7"},
		"before a trusted proxy":             {"10.1.2.3:80", []string{"198.51.100.1"}, "198.51.100.1"},
		"what the client wrote itself":       {"10.1.2.3:80", []string{"127.0.0.1, 198.51.100.1"}, "198.51.100.1"},
		"two trusted proxies, two headers":   {"10.1.2.3:80", []string{"192.0.2.1, 198.51.100.1", "10.9.9.9"}, "198.51.100.1"},
		"a trusted proxy that says nothing":  {"10.1.2.3:80", nil, "10.1.2.3"},
		"rubbish from a trusted proxy":       {"10.1.2.3:80", []string{"unknown"}, "10.1.2.3"},
		"rubbish behind an address":          {"10.1.2.3:80", []string{"unknown, 10.4.4.4"}, "10.4.4.4"},
		"IPv6":                               {"[2001:db8::1]:443", nil, "2001:db8::1"},
		"IPv6 before a trusted proxy":        {"[fd00::1]:443", []string{"2001:db8::2"}, "2001:db8::2"},
		"an IPv4 address in IPv6's clothing": {"[::ffff:10.1.2.3]:443", []string{"198.51.100.1"}, "198.51.100.1"},
		"no address":                         {"@", []string{"198.51.100.1"}, ""},
	} {
		header := http.Header{}
		for _, f := range c.forwarded {
			header.Add("X-Forwarded-For", f)
		}
		if got := s.addressOf(c.peer, header); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
