package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"clientele/auth"
	"clientele/graph"
	"clientele/internal/testkit"
	"clientele/services"
)

// roles are all there are, in the order of the letters of access.
var roles = []auth.Role{auth.RoleAdmin, auth.RoleIntegration, auth.RoleAnalyst, auth.RolePlatform, auth.RoleAdvisor}

// access is who may select each root field: a letter a role (A admin, I integration, N analyst,
// P platform, S advisor), by rules V2 and V3, and a document that selects it alone. It is written
// from the rules and not from the schema: TestAccess compares the two.
var access = []struct{ field, roles, document string }{
	{"Query.node", "AINPS", `{ node(id: "Y3UAAAAAAAAAAAAAAAAAAAAB") { id } }`},
	{"Query.nodes", "AINPS", `{ nodes(ids: []) { id } }`},
	{"Query.viewer", "AINPS", `{ viewer { role } }`},
	{"Query.account", "AINPS", `{ account { id } }`},
	{"Query.advisors", "AIN", `{ advisors { nodes { id } } }`},
	{"Query.advisor", "AINS", `{ advisor(by: {openid: "anna"}) { id } }`},
	{"Query.groups", "AIN", `{ groups { nodes { id } } }`},
	{"Query.qrCodes", "AINS", `{ qrCodes { nodes { id } } }`},
	{"Query.qrCodePicture", "AINS", `{ qrCodePicture(codeId: "cXIAAAAAAAAAAAAAAAAAAAAB") { size } }`},
	{"Query.scans", "AIN", `{ scans { nodes { scene } } }`},
	{"Query.customers", "AINS", `{ customers { nodes { id } } }`},
	{"Query.customer", "AINS", `{ customer(by: {id: "Y3UAAAAAAAAAAAAAAAAAAAAB"}) { id } }`},
	{"Query.auditLog", "AI", `{ auditLog { nodes { id } } }`},
	{"Query.job", "AI", `{ job(jobId: "am8AAAAAAAAAAAAAAAAAAAAB") { id } }`},
	{"Query.erasure", "AI", `{ erasure(erasureId: "ZXIAAAAAAAAAAAAAAAAAAAAB") { id } }`},
	{"Query.erasures", "AI", `{ erasures { nodes { id } } }`},
	{"Query.import", "AI", `{ import(importId: "aW0AAAAAAAAAAAAAAAAAAAAB") { id } }`},
	{"Query.jobs", "AI", `{ jobs { nodes { id } } }`},
	{"Query.tags", "AINS", `{ tags { id } }`},
	{"Query.customerChanges", "AI", `{ customerChanges { nodes { at } } }`},
	{"Query.customerChangeFeed", "AI", `{ customerChangeFeed { hasMore } }`},
	{"Query.bindings", "AIN", `{ bindings { nodes { change } } }`},
	{"Query.newCustomers", "AINS", `{ newCustomers { id } }`},
	{"Query.inbox", "S", `{ inbox { nodes { id } } }`},
	{"Query.conversation", "AIS", `{ conversation(customer: {openid: "nobody"}) { id } }`},
	{"Query.contactability", "S", `{ contactability(customer: {openid: "nobody"}) { answer } }`},
	{"Query.notifications", "S", `{ notifications { nodes { id } } }`},
	{"Query.eventCursor", "AIS", `{ eventCursor }`},
	{"Mutation.createAccount", "P", `mutation { createAccount(input: {name: "", channel: SANDBOX}) { account { id } } }`},
	{"Mutation.recordAccountFacts", "P", `mutation { recordAccountFacts(input: {accountId: "YWMAAAAAAAAAAAAAAAAAAAAB"}) { account { id } } }`},
	{"Mutation.acceptTerms", "AI", `mutation { acceptTerms(input: {version: ""}) { account { id } } }`},
	{"Mutation.closeAccount", "AI", `mutation { closeAccount(input: {confirm: false}) { account { id } } }`},
	{"Mutation.updateAccountSettings", "AI", `mutation { updateAccountSettings(input: {timeZone: "x"}) { account { id } } }`},
	{"Mutation.setCallbackCredentials", "AI", `mutation { setCallbackCredentials(input: {mode: PLAIN, token: "x"}) { account { id } } }`},
	{"Mutation.inviteAdvisors", "AI", `mutation { inviteAdvisors(input: {advisors: []}) { results { error { code } } } }`},
	{"Mutation.updateAdvisor", "AIS", `mutation { updateAdvisor(input: {}) { advisor { id } } }`},
	{"Mutation.removeAdvisor", "AI", `mutation { removeAdvisor(input: {advisor: {openid: "nobody"}}) { job { id } } }`},
	{"Mutation.answerInvitation", "S", `mutation { answerInvitation(input: {accept: true}) { advisor { id } } }`},
	{"Mutation.acceptServiceRules", "S", `mutation { acceptServiceRules(input: {version: "x"}) { advisor { id } } }`},
	{"Mutation.setPresence", "S", `mutation { setPresence(input: {presence: ONLINE}) { advisor { id } } }`},
	{"Mutation.issueAdvisorToken", "AI", `mutation { issueAdvisorToken(input: {advisor: {openid: "nobody"}}) { token } }`},
	{"Mutation.revokeToken", "AI", `mutation { revokeToken(input: {tokenId: ""}) { rememberedUntil } }`},
	{"Mutation.revokeTokensIssuedBefore", "AI", `mutation { revokeTokensIssuedBefore(input: {bearer: {advisor: {openid: "nobody"}}}) { issuedBefore } }`},
	{"Mutation.createGroup", "AI", `mutation { createGroup(input: {name: ""}) { group { id } } }`},
	{"Mutation.renameGroup", "AI", `mutation { renameGroup(input: {groupId: "x", name: ""}) { group { id } } }`},
	{"Mutation.deleteGroup", "AI", `mutation { deleteGroup(input: {groupId: "x"}) { groupId } }`},
	{"Mutation.removeGroupAdvisors", "AI", `mutation { removeGroupAdvisors(input: {groupId: "x", advisors: []}) { group { id } } }`},
	{"Mutation.addGroupAdvisors", "AI", `mutation { addGroupAdvisors(input: {groupId: "x", advisors: []}) { group { id } } }`},
	{"Mutation.assignCustomers", "AI", `mutation { assignCustomers(input: {customers: {these: []}, to: {advisor: {openid: "nobody"}}}) { isRepeated } }`},
	{"Mutation.rebindCustomers", "AI", `mutation { rebindCustomers(input: {customers: {these: []}, to: {advisor: {openid: "nobody"}}}) { isRepeated } }`},
	{"Mutation.unbindCustomers", "AI", `mutation { unbindCustomers(input: {customers: {these: []}}) { isRepeated } }`},
	{"Mutation.createQRCodes", "AI", `mutation { createQRCodes(input: {codes: []}) { isRepeated } }`},
	{"Mutation.createTag", "AI", `mutation { createTag(input: {name: ""}) { tag { id } } }`},
	{"Mutation.renameTag", "AI", `mutation { renameTag(input: {tagId: "x", name: ""}) { tag { id } } }`},
	{"Mutation.removeTag", "AI", `mutation { removeTag(input: {tagId: "x"}) { tagId } }`},
	{"Mutation.createTagOption", "AI", `mutation { createTagOption(input: {tagId: "x", name: ""}) { option { id } } }`},
	{"Mutation.renameTagOption", "AI", `mutation { renameTagOption(input: {optionId: "x", name: ""}) { option { id } } }`},
	{"Mutation.removeTagOption", "AI", `mutation { removeTagOption(input: {optionId: "x"}) { optionId } }`},
	{"Mutation.tagCustomers", "AIS", `mutation { tagCustomers(input: {customers: []}) { isRepeated } }`},
	{"Mutation.updateCustomers", "AIS", `mutation { updateCustomers(input: {customers: []}) { isRepeated } }`},
	{"Mutation.exportAuditLog", "AI", `mutation { exportAuditLog(input: {}) { auditId } }`},
	{"Mutation.eraseCustomer", "AI", `mutation { eraseCustomer(input: {customer: {openid: "nobody"}}) { erasure { id } } }`},
	{"Mutation.exportCustomer", "AI", `mutation { exportCustomer(input: {customer: {openid: "nobody"}}) { auditId } }`},
	{"Mutation.createImport", "AI", `mutation { createImport(input: {kind: CUSTOMERS}) { import { id } } }`},
	{"Mutation.uploadImport", "AI", `mutation { uploadImport(input: {importId: "aW0AAAAAAAAAAAAAAAAAAAAB", offset: 0, data: "eA=="}) { import { id } } }`},
	{"Mutation.startImport", "AI", `mutation { startImport(input: {importId: "aW0AAAAAAAAAAAAAAAAAAAAB"}) { job { id } } }`},
	{"Mutation.deleteImport", "AI", `mutation { deleteImport(input: {importId: "aW0AAAAAAAAAAAAAAAAAAAAB"}) { importId } }`},
	{"Mutation.cancelJob", "AI", `mutation { cancelJob(input: {jobId: "am8AAAAAAAAAAAAAAAAAAAAB"}) { job { id } } }`},
	{"Mutation.sendMessage", "S", `mutation { sendMessage(input: {customer: {openid: "nobody"}, text: "x", idempotencyKey: "k"}) { message { id } } }`},
	{"Mutation.resendMessage", "S", `mutation { resendMessage(input: {messageId: "bWUAAAAAAAAAAAAAAAAAAAAB", idempotencyKey: "k"}) { message { id } } }`},
	{"Mutation.confirmOutreach", "S", `mutation { confirmOutreach(input: {customer: {openid: "nobody"}}) { isConsumed } }`},
	{"Mutation.recordPayment", "AI", `mutation { recordPayment(input: {payments: []}) { results { isRepeated } } }`},
	{"Mutation.recordMassSend", "AI", `mutation { recordMassSend(input: {key: "", at: "2026-01-01T00:00:00Z", audience: {all: true}}) { isRepeated } }`},
	{"Mutation.markConversationRead", "S", `mutation { markConversationRead(input: {customer: {openid: "nobody"}}) { conversation { id } } }`},
	{"Mutation.markNotificationsRead", "S", `mutation { markNotificationsRead(input: {notificationIds: []}) { notifications { id } } }`},
	{"Mutation.simulateFollow", "AI", `mutation { simulateFollow(input: {openid: "f", scene: "none"}) { outcome } }`},
	{"Mutation.simulateUnfollow", "AI", `mutation { simulateUnfollow(input: {openid: "f"}) { customer { id } } }`},
	{"Mutation.simulateScan", "AI", `mutation { simulateScan(input: {openid: "f", scene: "none"}) { outcome } }`},
	{"Mutation.simulateMenuClick", "AI", `mutation { simulateMenuClick(input: {openid: "f"}) { customer { id } } }`},
	{"Mutation.simulateMessage", "AI", `mutation { simulateMessage(input: {openid: "f", text: "x"}) { customer { id } } }`},
	{"Mutation.simulatePayment", "AI", `mutation { simulatePayment(input: {openid: "f"}) { customer { id } } }`},
	{"Mutation.simulateSending", "AI", `mutation { simulateSending(input: {sending: ACCEPT}) { sending } }`},
	{"Subscription.notifications", "S", `subscription { notifications { __typename } }`},
	{"Subscription.jobChanges", "AI", `subscription { jobChanges(jobId: "am8AAAAAAAAAAAAAAAAAAAAB") { __typename } }`},
	{"Subscription.customerChangeFeed", "AI", `subscription { customerChangeFeed { __typename } }`},
	{"Subscription.messages", "S", `subscription { messages { __typename } }`},
}

func lettersOf(of []auth.Role) string {
	var b strings.Builder
	for i, r := range roles {
		if slices.Contains(of, r) {
			b.WriteByte("AINPS"[i])
		}
	}
	return b.String()
}

// Ensure every root field has a row in access, and that the schema's @allow and the services'
// permissions say the same.
func TestAccessIsComplete(t *testing.T) {
	want := map[string]string{}
	for _, a := range access {
		want[a.field] = a.roles
	}
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	seen := map[string]bool{}
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation, schema.Subscription} {
		for _, f := range root.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			name := root.Name + "." + f.Name
			seen[name] = true
			var allowed []auth.Role
			if d := f.Directives.ForName("allow"); d != nil {
				for _, c := range d.Arguments.ForName("roles").Value.Children {
					allowed = append(allowed, auth.Role(c.Value.Raw))
				}
			}
			if got := lettersOf(allowed); got != want[name] {
				t.Errorf("%s: @allow is for %q, the table of access says %q", name, got, want[name])
			}
		}
	}
	permitted := map[string]string{}
	for _, p := range services.Permissions() {
		permitted[p.Field] = lettersOf(p.Roles)
	}
	for name := range want {
		_, field, _ := strings.Cut(name, ".")
		if !seen[name] {
			t.Errorf("%s stands in the table of access and not in the schema", name)
		}
		if permitted[field] != want[name] {
			t.Errorf("%s: services permit %q, the table of access says %q", name, permitted[field], want[name])
		}
		delete(seen, name)
	}
}

// Ensure each field is FORBIDDEN to exactly the roles it is not for, hidden in a fragment too, and
// UNAUTHENTICATED to nobody.
func TestAccess(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	for _, row := range access {
		t.Run(row.field, func(t *testing.T) {
			for i, r := range roles {
				who := strings.ToLower(string(r))
				if r == auth.RoleAdvisor {
					who = "anna"
				}
				may := strings.ContainsRune(row.roles, rune("AINPS"[i]))
				for _, document := range []string{row.document, inFragment(row.document)} {
					if code := a.outcome(who, document); (code != string("FORBIDDEN")) != may {
						t.Errorf("%s: %q to %s, allowed is %t", document, code, r, may)
					}
				}
			}
			if !strings.HasPrefix(row.field, "Subscription.") {
				if code := a.outcome("nobody", row.document); code != "UNAUTHENTICATED" {
					t.Errorf("%q to nobody", code)
				}
			}
		})
	}
}

func inFragment(document string) string {
	open, end := strings.IndexByte(document, '{'), strings.LastIndexByte(document, '}')
	kind := strings.TrimSpace(document[:open])
	on := map[string]string{"": "Query", "mutation": "Mutation", "subscription": "Subscription"}[kind]
	if kind == "" {
		kind = "query"
	}
	return fmt.Sprintf("%s { ...F } fragment F on %s { ... on %s %s }", kind, on, on, document[open:end+1])
}

// outcome is the first error's code, over a WebSocket for a subscription; "" for a success.
func (t *tenant) outcome(who, document string) string {
	t.tb.Helper()
	if !strings.HasPrefix(document, "subscription") {
		return t.try(who, document, nil).code()
	}
	before := t.listening()
	s := t.subscribe(t.bearer(who, t.account), document, nil)
	defer func() {
		_ = s.conn.CloseNow()
		// Or the next one would count it as its own.
		t.await("the subscription has ended", func() bool { return t.listening() == before })
	}()
	if len(s.frames) == 0 {
		return ""
	}
	return s.refused()
}
