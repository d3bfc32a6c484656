package models_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"clientele/limits"
	"clientele/models"
)

var lateNoon = models.At(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC))

// Ensure a record is read whole, and that what is wrong with one is told by member, without its value.
func TestImportMessage(t *testing.T) {
	zone := time.FixedZone("CST", 8*60*60)
	whole := `{"id":"m1","openid":"o1","direction":"FROM_ADVISOR","at":"2026-01-31 08:00:00","kind":"LINK","text":"Tea","url":"https://t.example/","description":"green","advisor_external_id":"7"}`
	m, bad := models.NewImportMessage([]byte(whole), zone, lateNoon)
	if bad != nil {
		t.Fatal(bad)
	}
	want := models.ImportMessage{
		ID: "m1", OpenID: "o1", Direction: models.FromAdvisor, At: models.At(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)),
		Content: models.InboundContent{Kind: models.ContentLink, Text: "Tea", URL: "https://t.example/", Description: "green"},
		Advisor: models.ImportAdvisor{ExternalID: "7"},
	}
	if m != want {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
	plain := map[string]string{"id": `"m"`, "openid": `"o"`, "direction": `"FROM_CUSTOMER"`, "at": `"2026-01-31T08:00:00Z"`, "text": `"hi"`}
	with := func(changes ...string) string {
		members := map[string]string{}
		for k, v := range plain {
			members[k] = v
		}
		for i := 0; i < len(changes); i += 2 {
			if members[changes[i]] = changes[i+1]; changes[i+1] == "" {
				delete(members, changes[i])
			}
		}
		var parts []string
		for k, v := range members {
			parts = append(parts, `"`+k+`":`+v)
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	text := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	for name, tt := range map[string]struct{ line, field string }{
		"all that must be":      {with(), "ok"},
		"null says nothing":     {with("unionid", "null", "latitude", "null"), "ok"},
		"unionid alone":         {with("openid", "", "unionid", `"u"`), "ok"},
		"lines in a text":       {with("text", `"a\nb"`), "ok"},
		"a place":               {with("kind", `"LOCATION"`, "text", "", "latitude", "-90", "longitude", "180"), "ok"},
		"id longest":            {with("id", text(limits.ImportMessageIDBytes)), "ok"},
		"text longest":          {with("text", text(limits.InboundTextBytes)), "ok"},
		"no id":                 {with("id", ""), "id"},
		"id too long":           {with("id", text(limits.ImportMessageIDBytes+1)), "id"},
		"id of two lines":       {with("id", `"a\nb"`), "id"},
		"id a number":           {with("id", "7"), "id"},
		"nobody":                {with("openid", ""), "openid"},
		"no direction":          {with("direction", ""), "direction"},
		"from the system":       {with("direction", `"FROM_SYSTEM"`), "direction"},
		"no time":               {with("at", ""), "at"},
		"a time to come":        {with("at", `"2026-03-02T12:00:01Z"`), "at"},
		"no kind of content":    {with("kind", `"STICKER"`), "kind"},
		"no text":               {with("text", ""), "text"},
		"text too long":         {with("text", text(limits.InboundTextBytes+1)), "text"},
		"NUL":                   {with("text", `"a\u0000"`), "text"},
		"a link to nothing":     {with("kind", `"LINK"`), "url"},
		"beyond the pole":       {with("latitude", "90.5"), "latitude"},
		"no number":             {with("longitude", `"east"`), "longitude"},
		"two advisors":          {with("advisor_openid", `"a"`, "advisor_unionid", `"b"`), "advisor_unionid"},
		"an id that is none":    {with("advisor_id", `"x"`), "advisor_id"},
		"a member too many":     {with("colour", `"secret-red"`), ""},
		"a list":                {"[]", ""},
		"null":                  {"null", ""},
		"two objects":           {with() + with(), ""},
		"no JSON":               {`{"text":"secret-red"`, ""},
		"another encoding":      {with("text", "\"\xc4\xe3\""), ""},
		"text of another shape": {with("text", `{"secret-red":1}`), "text"},
	} {
		m, bad := models.NewImportMessage([]byte(tt.line), zone, lateNoon)
		switch {
		case tt.field == "ok":
			if bad != nil {
				t.Errorf("%s: %v", name, bad)
			}
			if m.Content.Kind == "" {
				t.Errorf("%s: no kind", name)
			}
		case bad == nil || bad.Code != models.CodeInvalid || bad.Field != tt.field || strings.Contains(bad.Message, "secret"):
			t.Errorf("%s: %v, want INVALID at %q", name, bad, tt.field)
		}
	}
}

// Ensure keys order messages by time to the microsecond, then by their place in the file, between the keys of messages that
// were stored when they were written; and that they are UUIDs of version 7.
func TestKeysOfImportedMessagesAreInOrder(t *testing.T) {
	at := models.At(time.Date(2026, 1, 31, 8, 0, 0, 999_000, time.UTC))
	var before models.Key
	for _, m := range []struct {
		at     models.Time
		id     string
		number int64
	}{
		{at - 1_000_000, "z", 9}, {at - 1, "z", 9}, {at, "z", 1}, {at, "a", 2}, {at, "m", 1 << 20}, {at + 1, "a", 1}, {at + 2, "a", 1}, {at + 1_000, "a", 1},
	} {
		p := models.ImportMessage{ID: m.id, At: m.at}
		key := p.Key(m.number)
		if !before.Less(key) {
			t.Errorf("%v of %d at %d is not behind the one before", m.id, m.number, m.at-at)
		}
		if key[6]>>4 != 7 || key[8]>>6 != 2 {
			t.Errorf("%s is no UUIDv7", key)
		}
		before = key
	}
	p := models.ImportMessage{ID: "a", At: models.At(time.Now().Add(-time.Hour))}
	if !p.Key(1).Less(models.NewKey()) {
		t.Error("a key of an hour ago is behind one of now")
	}
	p.At = models.At(time.Now().Add(time.Hour))
	if !models.NewKey().Less(p.Key(1)) {
		t.Error("a key of the next hour is before one of now")
	}
}

// Ensure no line does harm, and that what is accepted fits its columns.
func FuzzImportMessage(f *testing.F) {
	f.Add([]byte(`{"id":"m","openid":"o","direction":"FROM_CUSTOMER","at":"2026-01-31T08:00:00Z","text":"hi"}`))
	f.Add([]byte(`{"id":"m","unionid":"o","direction":"FROM_ADVISOR","at":"2026/1/31","kind":"LOCATION","latitude":1e400}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, bad := models.NewImportMessage(line, time.UTC, lateNoon)
		if bad != nil {
			if bad.Code != models.CodeInvalid || bad.Message == "" {
				t.Errorf("%v", bad)
			}
			return
		}
		if len(m.Content.Text) > limits.InboundTextBytes || len(m.ID) > limits.ImportMessageIDBytes || m.At > lateNoon || bytes.ContainsRune([]byte(m.Content.Text), 0) {
			t.Errorf("%+v", m)
		}
	})
}
