package tests

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"clientele/models"
)

// setup is the account that a case begins with. All of it is made through the API, but what
// followers do, which comes in as from a channel.
type setup struct {
	// Channel is SANDBOX when absent.
	Channel string `yaml:"channel"`
	// Settings is the input of updateAccountSettings.
	Settings map[string]any `yaml:"settings"`
	// Advisors are openids, and nicknames, of people who follow, accepted and accepted the rules.
	Advisors []string `yaml:"advisors"`
	// Groups are made with their members: "tea of anna ben".
	Groups []string `yaml:"groups"`
	// Tags are made with their options: "level of gold silver".
	Tags []string `yaml:"tags"`
	// Followers follow without a code.
	Followers []string `yaml:"followers"`
	// Customers follow through a code: "wei of anna", where anna may be a group.
	Customers []string `yaml:"customers"`
	// Unopened leaves the account before the operator's facts; Closed closes it at the end.
	Unopened bool `yaml:"unopened"`
	Closed   bool `yaml:"closed"`
}

// tenant is one account of a world, with names for its ids: "id anna", "scene anna", "id account".
type tenant struct {
	*world
	account models.Key
	names   map[string]string
	setup   setup
}

// found makes an account by its set-up. tag keeps apart what must be unique in an installation.
func (w *world) found(s setup, tag string) *tenant {
	w.tb.Helper()
	t := &tenant{world: w, names: map[string]string{}, setup: s}
	input := map[string]any{"name": "Teahouse", "channel": "SANDBOX"}
	if s.Channel == "WECHAT" {
		input["channel"], input["appId"], input["originalId"] = "WECHAT", "wx-"+tag, "gh_"+tag
	}
	platform := w.bearer("platform", models.Key{})
	id := w.must(platform, `mutation($i: CreateAccountInput!) { createAccount(input: $i) { account { id } } }`,
		map[string]any{"i": input}).text("createAccount.account.id")
	t.name("id account", id)
	t.account = keyOf(w.tb, id)
	if s.Unopened {
		return t
	}
	w.must(platform, `mutation($i: ID!) { recordAccountFacts(input: {accountId: $i, isVerified: true}) { account { id } } }`, map[string]any{"i": id})
	t.do("admin", `mutation { acceptTerms(input: {version: "1"}) { account { id } } }`, nil)
	if s.Settings != nil {
		t.do("admin", `mutation($i: UpdateAccountSettingsInput!) { updateAccountSettings(input: $i) { account { id } } }`, map[string]any{"i": s.Settings})
	}
	t.hire(s.Advisors...)
	for _, g := range s.Groups {
		name, members := parted(g)
		t.group(name, members...)
	}
	for _, tag := range s.Tags {
		name, options := parted(tag)
		t.tag(name, options...)
	}
	for _, f := range s.Followers {
		t.follow(f, "")
	}
	for _, c := range s.Customers {
		who, of := parted(c)
		t.follow(who, t.names["scene "+of[0]])
	}
	if s.Closed {
		t.do("admin", `mutation { closeAccount(input: {confirm: true}) { account { id } } }`, nil)
	}
	return t
}

// parted takes "tea of anna ben" apart.
func parted(s string) (name string, of []string) {
	name, rest, _ := strings.Cut(s, " of ")
	return name, strings.Fields(rest)
}

func (t *tenant) name(name, value string) { t.names[name] = value }

// do runs an operation of this account that succeeds.
func (t *tenant) do(who, query string, variables map[string]any) *answer {
	t.tb.Helper()
	return t.must(t.bearer(who, t.account), query, variables)
}

// try runs an operation of this account.
func (t *tenant) try(who, query string, variables map[string]any) *answer {
	t.tb.Helper()
	return t.ask(t.bearer(who, t.account), query, variables)
}

// hire makes ACTIVE advisors who accepted the rules.
func (t *tenant) hire(openids ...string) {
	t.tb.Helper()
	for part := range slices.Chunk(openids, 200) {
		var invitations []map[string]any
		for _, o := range part {
			t.follow(o, "")
			invitations = append(invitations, map[string]any{"openid": o, "nickname": o})
		}
		results, _ := t.do("admin", `mutation($a: [AdvisorInvitationInput!]!) { inviteAdvisors(input: {advisors: $a}) {
			results { advisor { id qrCode { scene } } error { code message } } } }`,
			map[string]any{"a": invitations}).field("inviteAdvisors.results").([]any)
		for i, o := range part {
			one := &answer{Data: results[i]}
			if one.text("advisor.id") == "" {
				t.tb.Fatalf("invite %s: %v", o, results[i])
			}
			t.name("id "+o, one.text("advisor.id"))
			t.name("scene "+o, one.text("advisor.qrCode.scene"))
			t.do(o, `mutation { answerInvitation(input: {accept: true}) { advisor { id } } }`, nil)
			t.do(o, `mutation($v: String!) { acceptServiceRules(input: {version: $v}) { advisor { id } } }`, map[string]any{"v": t.rules()})
		}
	}
}

func (t *tenant) rules() string {
	if v, ok := t.setup.Settings["serviceRulesVersion"].(string); ok {
		return v
	}
	return "1"
}

func (t *tenant) group(name string, members ...string) {
	t.tb.Helper()
	made := t.do("admin", `mutation($n: String!) { createGroup(input: {name: $n}) { group { id qrCode { scene } } } }`, map[string]any{"n": name})
	t.name("id "+name, made.text("createGroup.group.id"))
	t.name("scene "+name, made.text("createGroup.group.qrCode.scene"))
	var refs []map[string]any
	for _, m := range members {
		refs = append(refs, map[string]any{"openid": m})
	}
	if len(refs) > 0 {
		t.do("admin", `mutation($g: ID!, $a: [AdvisorRef!]!) { addGroupAdvisors(input: {groupId: $g, advisors: $a}) { group { id } } }`,
			map[string]any{"g": t.names["id "+name], "a": refs})
	}
}

// follow has someone follow the account, through a code unless scene is empty.
func (t *tenant) follow(openid, scene string) models.ScanOutcome {
	t.tb.Helper()
	return t.arrive(models.Inbound{Kind: models.InboundFollow, OpenID: openid, Scene: scene})
}

// write has a customer write a text.
func (t *tenant) write(openid, text string) {
	t.tb.Helper()
	t.arrive(models.Inbound{Kind: models.InboundMessage, OpenID: openid, Content: &models.InboundContent{Kind: models.ContentText, Text: text}})
}

// arrive stores what a follower did, as from the account's channel.
func (t *tenant) arrive(in models.Inbound) models.ScanOutcome {
	t.tb.Helper()
	in.At, in.DedupKey = t.clock.Time(), "arrived:"+models.NewKey().String()
	r, err := t.Services.Ingest(context.Background(), t.account, in)
	if err != nil {
		t.tb.Fatalf("ingest: %v", err)
	}
	t.name("id customer "+in.OpenID, r.Customer.ID().String())
	if _, taken := t.names["id "+in.OpenID]; !taken && !slices.Contains(t.setup.Followers, in.OpenID) && !slices.Contains(t.setup.Advisors, in.OpenID) {
		t.name("id "+in.OpenID, r.Customer.ID().String())
	}
	return r.Outcome
}

// send has an advisor send a text that is accepted.
func (t *tenant) send(advisor, to, text string) string {
	t.tb.Helper()
	return t.do(advisor, sendText, sending(to, text, models.NewKey().String())).text("sendMessage.message.id")
}

const sendText = `mutation($i: SendMessageInput!) { sendMessage(input: $i) { message { id status } } }`

func sending(to, text, key string) map[string]any {
	return map[string]any{"i": map[string]any{"customer": map[string]any{"openid": to}, "text": text, "idempotencyKey": key}}
}

// named is n names with a prefix: anna0, anna1 and so on.
func named(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return names
}

// tag makes a tag with options.
func (t *tenant) tag(name string, options ...string) {
	t.tb.Helper()
	id := t.do("admin", `mutation($n: String!) { createTag(input: {name: $n}) { tag { id } } }`, map[string]any{"n": name}).text("createTag.tag.id")
	t.name("id "+name, id)
	for _, o := range options {
		made := t.do("admin", `mutation($t: ID!, $n: String!) { createTagOption(input: {tagId: $t, name: $n}) { option { id } } }`, map[string]any{"t": id, "n": o})
		t.name("id "+o, made.text("createTagOption.option.id"))
	}
}
