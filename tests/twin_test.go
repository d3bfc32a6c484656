package tests

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"clientele/internal/relay"
	"clientele/internal/testkit"
	"clientele/models"
)

// twin is the second account of every case: same names, openids and nicknames, with messages and
// notifications of its own. Nothing of it may be seen or changed by the case (rule V4).
type twin struct {
	*tenant
	keys   map[models.Key]bool
	scenes []string
	rows   sums
}

// secretText is written in every conversation of a twin.
const secretText = "only the twin knows"

// newTwin makes it, with an advisor, a group and a customer at least.
func newTwin(w *world, of *setup) *twin {
	w.tb.Helper()
	s := setup{}
	if of != nil {
		s = *of
	}
	s.Unopened, s.Closed = false, false
	if len(s.Advisors) == 0 {
		s.Advisors = []string{"anna"}
	}
	if len(s.Groups) == 0 {
		s.Groups = []string{"tea of " + s.Advisors[0]}
	}
	if len(s.Customers) == 0 {
		s.Customers = []string{"wei of " + s.Advisors[0]}
	}
	t := &twin{tenant: w.found(s, "twin"), keys: map[models.Key]bool{}}
	for _, c := range s.Customers {
		who, _ := parted(c)
		t.write(who, secretText)
	}
	if s.Channel != "WECHAT" {
		who, of := parted(s.Customers[0])
		if slices.Contains(s.Advisors, of[0]) && len(s.Settings) == 0 {
			t.send(of[0], who, secretText)
		}
	}
	t.delivered()
	t.remember()
	return t
}

// each calls fn with every row of an account in one table.
func (w *world) each(table, column string, account models.Key, fn func(values []any)) {
	w.tb.Helper()
	rows, err := w.db.QueryContext(context.Background(), "SELECT * FROM "+table+" WHERE "+column+" = ?", account[:])
	if err != nil {
		w.tb.Fatalf("%s: %v", table, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		w.tb.Fatal(err)
	}
	for rows.Next() {
		values, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			w.tb.Fatal(err)
		}
		fn(values)
	}
	if err := rows.Err(); err != nil {
		w.tb.Fatal(err)
	}
}

// sums are of the rows of an account, by table.
type sums map[string]string

// changed names the tables whose rows are not the same.
func (s sums) changed(other sums) string {
	var tables []string
	for table, sum := range s {
		if other[table] != sum {
			tables = append(tables, table)
		}
	}
	slices.Sort(tables)
	return strings.Join(tables, ", ")
}

// checksum is of all rows of an account in all tables, each of which it shows to see.
func (w *world) checksum(account models.Key, see ...func(values []any)) sums {
	w.tb.Helper()
	// What waits for its number moves by itself, and so does a webhook that is looked at.
	w.await("every event has a number", func() bool { return w.count("SELECT COUNT(*) FROM account_event WHERE account_id = ?", account) == 0 })
	w.await("no webhook is looked at", func() bool {
		return w.count("SELECT COUNT(*) FROM webhook WHERE account_id = ? AND (leased_by IS NOT NULL OR due_at <= ?)", account, int64(models.At(w.clock.Now()))) == 0
	})
	all := sums{}
	for table, column := range testkit.Tables(w.tb, w.Store) {
		var lines []string
		w.each(table, column, account, func(values []any) {
			lines = append(lines, line(values))
			for _, f := range see {
				f(values)
			}
		})
		slices.Sort(lines)
		sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
		all[table] = strconv.Itoa(len(lines)) + " " + hex.EncodeToString(sum[:])
	}
	return all
}

func line(values []any) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%x|", v)
	}
	return b.String()
}

// remember notes every key and scene of the twin, and the sums of its rows.
func (t *twin) remember() {
	t.tb.Helper()
	t.rows = t.checksum(t.account, func(values []any) {
		for _, v := range values {
			if b, ok := v.([]byte); ok && len(b) == len(models.Key{}) {
				t.keys[models.Key(b)] = true
			}
		}
	})
	for name, scene := range t.names {
		if strings.HasPrefix(name, "scene ") {
			t.scenes = append(t.scenes, scene)
		}
	}
}

// check reports what the case saw or changed of the twin, and what the twin sees of the case.
func (t *twin) check(said []any, main *tenant) {
	t.tb.Helper()
	ids := map[string]relay.ID{}
	var strs []string
	for _, s := range said {
		strs = texts(s, strs)
	}
	for _, s := range slices.Compact(slices.Sorted(slices.Values(strs))) {
		if leak := t.leaks(s); leak != "" {
			t.tb.Errorf("the twin's %s was shown: %s", leak, s)
		}
		if id, ok := relay.ParseID(s); ok {
			ids[s] = id
		}
	}
	if changed := t.checksum(t.account).changed(t.rows); changed != "" {
		t.tb.Errorf("the case changed rows of the twin: %s", changed)
	}
	if !main.account.IsZero() && len(ids) > 0 {
		t.probe(ids, main)
	}
}

// texts gathers every text of a value.
func texts(v any, to []string) []string {
	switch v := v.(type) {
	case string:
		return append(to, v)
	case map[string]any:
		for k, e := range v {
			to = texts(e, append(to, k))
		}
	case []any:
		for _, e := range v {
			to = texts(e, to)
		}
	}
	return to
}

// leaks names what of the twin's a text holds, in any of our spellings: ids and cursors hold the
// row's key in base64url, tokens in hexadecimal.
func (t *twin) leaks(s string) string {
	if strings.Contains(s, secretText) {
		return "message"
	}
	for _, scene := range t.scenes {
		if strings.Contains(s, scene) {
			return "scene"
		}
	}
	for part := range strings.SplitSeq(s, ".") {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			b = nil
		}
		for i := 0; i+len(models.Key{}) <= len(b); i++ {
			if t.keys[models.Key(b[i:i+len(models.Key{})])] {
				return "key"
			}
		}
		for _, text := range []string{part, string(b)} {
			for i := 0; i+2*len(models.Key{}) <= len(text); i++ {
				if key, err := hex.DecodeString(text[i : i+2*len(models.Key{})]); err == nil && t.keys[models.Key(key)] {
					return "key"
				}
			}
		}
	}
	return ""
}

// probes are what the twin's people ask with an id of the case. $id is the id, $group and
// $customer are the twin's own.
var probes = []struct{ who, name, query string }{
	{"admin", "node", `query($id: ID!) { node(id: $id) { id } }`},
	{"admin", "nodes", `query($id: ID!) { nodes(ids: [$id]) { id } }`},
	{"platform", "node of PLATFORM", `query($id: ID!) { node(id: $id) { id ... on Account { createdAt } ... on Customer { openid } } }`},
	{"analyst", "customer", `query($id: ID!) { customer(by: {id: $id}) { id } }`},
	{"admin", "account", `query($id: ID!) { account(accountId: $id) { id } }`},
	{"admin", "customers", `query($id: ID!) { customers(filter: {advisor: {id: $id}}) { nodes { id } } }`},
	{"admin", "bindings customer", `query($id: ID!) { bindings(filter: {customer: {id: $id}}) { nodes { at } } }`},
	{"admin", "bindings advisor", `query($id: ID!) { bindings(filter: {advisor: {id: $id}}) { nodes { at } } }`},
	{"admin", "newCustomers", `query($id: ID!) { newCustomers(advisor: {id: $id}) { id } }`},
	{"admin", "advisor", `query($id: ID!) { advisor(by: {id: $id}) { id } }`},
	{"admin", "conversation", `query($id: ID!) { conversation(customer: {id: $id}) { id } }`},
	{"admin", "issueAdvisorToken", `mutation($id: ID!) { issueAdvisorToken(input: {advisor: {id: $id}}) { expiresAt } }`},
	{"admin", "revokeTokensIssuedBefore", `mutation($id: ID!) { revokeTokensIssuedBefore(input: {bearer: {advisor: {id: $id}}}) { issuedBefore } }`},
	{"admin", "addGroupAdvisors group", `mutation($id: ID!) { addGroupAdvisors(input: {groupId: $id, advisors: [{openid: "anna"}]}) { results { error { code message field } } } }`},
	{"admin", "addGroupAdvisors advisor", `mutation($id: ID!, $group: ID!) { addGroupAdvisors(input: {groupId: $group, advisors: [{id: $id}]}) { results { error { code message field } } } }`},
	{"admin", "assignCustomers customer", `mutation($id: ID!) { assignCustomers(input: {customers: {these: [{id: $id}]}, to: {advisor: {openid: "anna"}}}) { results { isChanged error { code message field } } } }`},
	{"admin", "assignCustomers advisor", `mutation($id: ID!, $customer: ID!) { assignCustomers(input: {customers: {these: [{id: $customer}]}, to: {advisor: {id: $id}}}) { results { isChanged error { code message field } } } }`},
	{"admin", "rebindCustomers group", `mutation($id: ID!, $customer: ID!) { rebindCustomers(input: {customers: {these: [{id: $customer}]}, to: {groupId: $id}}) { results { isChanged error { code message field } } } }`},
	{"admin", "unbindCustomers", `mutation($id: ID!) { unbindCustomers(input: {customers: {these: [{id: $id}]}}) { results { isChanged error { code message field } } } }`},
	{"admin", "assignCustomers matching", `mutation($id: ID!) { assignCustomers(input: {customers: {matching: {advisor: {id: $id}}}, to: {advisor: {openid: "anna"}}}) { job { state } } }`},
	{"admin", "qrCodes of an advisor", `query($id: ID!) { qrCodes(filter: {owner: {advisor: {id: $id}}}) { nodes { id } } }`},
	{"admin", "qrCodes of a group", `query($id: ID!) { qrCodes(filter: {owner: {groupId: $id}}) { nodes { id } } }`},
	{"advisor", "qrCodes of a group", `query($id: ID!) { qrCodes(filter: {owner: {groupId: $id}}) { nodes { id } } }`},
	{"admin", "createQRCodes advisor", `mutation($id: ID!) { createQRCodes(input: {codes: [{owner: {advisor: {id: $id}}, label: "probe"}]}) { results { error { code message field } } } }`},
	{"admin", "createQRCodes group", `mutation($id: ID!) { createQRCodes(input: {codes: [{owner: {groupId: $id}, label: "probe"}]}) { results { error { code message field } } } }`},
	{"admin", "qrCodePicture", `query($id: ID!) { qrCodePicture(codeId: $id) { data } }`},
	{"advisor", "qrCodePicture", `query($id: ID!) { qrCodePicture(codeId: $id) { data } }`},
	{"admin", "scans of a code", `query($id: ID!) { scans(filter: {codeId: $id}) { nodes { scene } } }`},
	{"admin", "scans by a customer", `query($id: ID!) { scans(filter: {customer: {id: $id}}) { nodes { scene } } }`},
	{"admin", "renameTag", `mutation($id: ID!) { renameTag(input: {tagId: $id, name: "probe"}) { tag { id } } }`},
	{"admin", "removeTag", `mutation($id: ID!) { removeTag(input: {tagId: $id}) { tagId } }`},
	{"admin", "createTagOption", `mutation($id: ID!) { createTagOption(input: {tagId: $id, name: "probe"}) { option { id } } }`},
	{"admin", "renameTagOption", `mutation($id: ID!) { renameTagOption(input: {optionId: $id, name: "probe"}) { option { id } } }`},
	{"admin", "removeTagOption", `mutation($id: ID!) { removeTagOption(input: {optionId: $id}) { optionId } }`},
	{"admin", "tagCustomers customer", `mutation($id: ID!) { tagCustomers(input: {customers: [{customer: {id: $id}}]}) { results { isChanged error { code message field } } } }`},
	{"admin", "tagCustomers option", `mutation($id: ID!, $customer: ID!) { tagCustomers(input: {customers: [{customer: {id: $customer}, add: [{id: $id}]}]}) { results { isChanged error { code message field } } } }`},
	{"advisor", "tagCustomers", `mutation($id: ID!) { tagCustomers(input: {customers: [{customer: {id: $id}}]}) { results { isChanged error { code message field } } } }`},
	{"advisor", "updateCustomers", `mutation($id: ID!) { updateCustomers(input: {customers: [{customer: {id: $id}, nickname: "probe"}]}) { results { isChanged error { code message field } } } }`},
	{"admin", "updateCustomers", `mutation($id: ID!) { updateCustomers(input: {customers: [{customer: {id: $id}, nickname: "probe"}]}) { results { isChanged error { code message field } } } }`},
	{"admin", "customerChanges", `query($id: ID!) { customerChanges(filter: {customer: {id: $id}}) { nodes { at } } }`},
	{"admin", "eraseCustomer", `mutation($id: ID!) { eraseCustomer(input: {customer: {id: $id}}) { erasure { id } } }`},
	{"admin", "exportCustomer", `mutation($id: ID!) { exportCustomer(input: {customer: {id: $id}}) { lines } }`},
	{"admin", "erasure", `query($id: ID!) { erasure(erasureId: $id) { id } }`},
	{"admin", "advertisementGroupId", `mutation($id: ID!) { updateAccountSettings(input: {advertisementGroupId: $id}) { account { id } } }`},
	{"admin", "import", `query($id: ID!) { import(importId: $id) { id } }`},
	{"admin", "uploadImport", `mutation($id: ID!) { uploadImport(input: {importId: $id, offset: 0, data: "eA=="}) { import { size } } }`},
	{"admin", "startImport", `mutation($id: ID!) { startImport(input: {importId: $id}) { job { state } } }`},
	{"admin", "deleteImport", `mutation($id: ID!) { deleteImport(input: {importId: $id}) { importId } }`},
	{"admin", "exportAuditLog", `mutation($id: ID!) { exportAuditLog(input: {filter: {targetId: $id}}) { lines } }`},
	{"admin", "simulateFollow", `mutation($id: ID!) { simulateFollow(input: {openid: "probe", advertisement: {groupId: $id}}) { outcome } }`},
	{"admin", "auditLog", `query($id: ID!) { auditLog(filter: {targetId: $id}) { nodes { action } } }`},
	{"advisor", "inbox", `query($id: ID!) { inbox(filter: {tags: {any: [{id: $id}]}}) { nodes { id } } }`},
	{"admin", "deadLetters", `query($id: ID!) { deadLetters(webhookId: $id) { nodes { id } } }`},
	{"admin", "updateWebhook", `mutation($id: ID!) { updateWebhook(input: {webhookId: $id, name: "probe"}) { webhook { id } } }`},
	{"admin", "deleteWebhook", `mutation($id: ID!) { deleteWebhook(input: {webhookId: $id}) { webhookId } }`},
	{"admin", "rotateWebhookSecret", `mutation($id: ID!) { rotateWebhookSecret(input: {webhookId: $id}) { webhook { id } } }`},
	{"admin", "testWebhook", `mutation($id: ID!) { testWebhook(input: {webhookId: $id}) { webhook { id } } }`},
	{"admin", "replayDeadLetters", `mutation($id: ID!) { replayDeadLetters(input: {webhookId: $id}) { replayedCount } }`},
	{"admin", "job", `query($id: ID!) { job(jobId: $id) { id } }`},
	{"admin", "cancelJob", `mutation($id: ID!) { cancelJob(input: {jobId: $id}) { job { id } } }`},
	{"admin", "updateAdvisor", `mutation($id: ID!) { updateAdvisor(input: {advisor: {id: $id}, nickname: "x"}) { advisor { id } } }`},
	{"admin", "updateAdvisor to an image", `mutation($id: ID!) { updateAdvisor(input: {advisor: {openid: "anna"}, avatarImageId: $id}) { advisor { id } } }`},
	{"admin", "updateCustomers to an image", `mutation($id: ID!, $customer: ID!) { updateCustomers(input: {customers: [{customer: {id: $customer}, avatarImageId: $id}]}) { results { isChanged error { code message field } } } }`},
	{"advisor", "updateCustomers to an image", `mutation($id: ID!, $customer: ID!) { updateCustomers(input: {customers: [{customer: {id: $customer}, avatarImageId: $id}]}) { results { isChanged error { code message field } } } }`},
	{"admin", "inviteAdvisors with an image", `mutation($id: ID!) { inviteAdvisors(input: {advisors: [{wechatId: "probe", nickname: "probe", avatarImageId: $id}]}) { results { error { code message field } } } }`},
	{"admin", "removeAdvisor", `mutation($id: ID!) { removeAdvisor(input: {advisor: {id: $id}}) { advisor { id } } }`},
	{"admin", "removeAdvisor to a group", `mutation($id: ID!) { removeAdvisor(input: {advisor: {openid: "nobody"}, handOver: {groupId: $id}}) { advisor { id } } }`},
	{"admin", "renameGroup", `mutation($id: ID!) { renameGroup(input: {groupId: $id, name: "Probe"}) { group { id } } }`},
	{"admin", "deleteGroup", `mutation($id: ID!) { deleteGroup(input: {groupId: $id}) { groupId } }`},
	{"admin", "removeGroupAdvisors group", `mutation($id: ID!) { removeGroupAdvisors(input: {groupId: $id, advisors: [{openid: "anna"}]}) { results { error { code message field } } } }`},
	{"admin", "removeGroupAdvisors advisor", `mutation($id: ID!, $group: ID!) { removeGroupAdvisors(input: {groupId: $group, advisors: [{id: $id}]}) { results { error { code message field } } } }`},
	{"advisor", "node", `query($id: ID!) { node(id: $id) { id } }`},
	{"advisor", "customer", `query($id: ID!) { customer(by: {id: $id}) { id } }`},
	{"advisor", "conversation", `query($id: ID!) { conversation(customer: {id: $id}) { id } }`},
	{"advisor", "contactability", `query($id: ID!) { contactability(customer: {id: $id}) { answer } }`},
	{"advisor", "sendMessage", `mutation($id: ID!) { sendMessage(input: {customer: {id: $id}, text: "x", idempotencyKey: "probe"}) { message { id } } }`},
	{"admin", "recordPayment", `mutation($id: ID!) { recordPayment(input: {payments: [{customer: {id: $id}, transactionId: "probe", at: "2026-03-01T00:00:00Z"}]}) { results { error { code message field } } } }`},
	{"advisor", "confirmOutreach", `mutation($id: ID!) { confirmOutreach(input: {customer: {id: $id}}) { isConsumed } }`},
	{"advisor", "resendMessage", `mutation($id: ID!) { resendMessage(input: {messageId: $id, idempotencyKey: "probe"}) { message { id } } }`},
	{"advisor", "markConversationRead", `mutation($id: ID!) { markConversationRead(input: {customer: {id: $id}}) { conversation { id } } }`},
	{"advisor", "markConversationRead up to", `mutation($id: ID!, $customer: ID!) { markConversationRead(input: {customer: {id: $customer}, upToMessageId: $id}) { conversation { id } } }`},
	{"advisor", "markNotificationsRead", `mutation($id: ID!) { markNotificationsRead(input: {notificationIds: [$id]}) { notifications { id } } }`},
}
