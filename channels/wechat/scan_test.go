package wechat_test

import (
	"bytes"
	"strings"
	"testing"

	"clientele/channels/wechat"
)

// Ensure the quick way is the one that the platform's documents take, but for those with lists.
func TestScanMessage(t *testing.T) {
	lists := map[string]bool{}
	for name := range documents(t) {
		body := mustRead(t, name)
		quick, ok := wechat.ScanMessage(body)
		m, err := wechat.ParseXML(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if ok && quick != m {
			t.Errorf("%s: read %+v, XML %+v", name, quick, m)
		}
		lists[name] = !ok
	}
	for name, list := range lists {
		nested := strings.Contains(name, "pic_") || strings.Contains(name, "scancode") || strings.Contains(name, "location_select") ||
			strings.Contains(name, "mass") || strings.Contains(name, "popup")
		if list && !nested {
			t.Errorf("%s goes the long way", name)
		}
	}
}

// BenchmarkParseMessage reads a text as the platform writes it, both ways.
func BenchmarkParseMessage(b *testing.B) {
	body := bytes.TrimSpace(mustRead(b, "text"))
	for name, parse := range map[string]func([]byte) (wechat.Message, error){"as shipped": wechat.ParseMessage, "encoding/xml": wechat.ParseXML} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
