package tests

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"clientele/auth"
	"clientele/graph"
	"clientele/internal/testkit"
	"clientele/models"
)

// What of a mutation is in the audit log.
const (
	ownRecord = "its rows are its record" // and it is not there
	something = "?"                       // not compared
)

// auditValues is what the audit log tells of each mutation (rule R5): what was and what is, of the call and of the first
// item of a call for many; empty: nothing. They are done in this order, as ADMIN unless somebody else is named. The
// documents are as those of access.
var auditValues = []struct{ of, who, document, before, after, itemBefore, itemAfter string }{
	{of: "createAccount", who: "platform", document: `createAccount(input: {name: "x", channel: SANDBOX}) { account { id } }`, after: `{"channel":"SANDBOX","name":"x"}`},
	{
		of: "recordAccountFacts", who: "platform", document: `recordAccountFacts(input: {accountId: "<id account>", isVerified: false}) { account { id } }`,
		before: `{"verified":true}`, after: `{"verified":false,"violations":null}`,
	},
	{
		of: "recordAccountFacts", who: "platform", document: `recordAccountFacts(input: {accountId: "<id account>", isVerified: true, close: true}) { account { id } }`,
		before: `{"capability":"OPEN","verified":false}`, after: `{"capability":"CLOSED","verified":true,"violations":null}`,
	},
	{of: "acceptTerms", document: `acceptTerms(input: {version: "2"}) { account { id } }`, before: `{"capability":"CLOSED","terms":"1"}`, after: `{"capability":"OPEN","terms":"2"}`},
	{of: "closeAccount", document: `closeAccount(input: {confirm: true}) { account { id } }`, before: `{"capability":"OPEN"}`, after: `{"capability":"CLOSED"}`},
	{of: "acceptTerms", document: `acceptTerms(input: {version: "3"}) { account { id } }`, before: `{"capability":"CLOSED","terms":"2"}`, after: `{"capability":"OPEN","terms":"3"}`},
	{
		of: "updateAccountSettings", document: `updateAccountSettings(input: {timeZone: "Europe/Berlin", policyPreset: PLATFORM_TODAY, policyOverrides: {outreachPerMonth: 3}, outreachCarrier: DIRECT,
			isAutoAssignOn: true, isAutoAssignAfterFailedCode: true, mayAdvisorsEditProfile: true, isNicknameShown: true, mayAnalystsReadFreeText: true, advertisementGroupId: "<id tea>", onUnfollow: ERASE_AFTER,
			eraseAfterDays: 9, notifyOn: {advisorQr: false, groupQr: false, wechatAd: false, autoAssign: true}, serviceRulesVersion: "<text rules>", conversationLink: "https://example.com/x",
			taskLink: "https://example.com/y", outsideLanguage: EN, linkedMiniPrograms: ["wx0000000000000001"], followReply: "hi",
			eventRetentionDays: 8, messageReadableDays: 40, messageRetentionDays: 200}) { account { id } }`,
		before: `{"timeZone":"Asia/Shanghai","policyPreset":"CLASSIC","policyOverrides":{},"outreachCarrier":"DIRECT","isAutoAssignOn":false,"onUnfollow":"KEEP",` +
			`"eraseAfterDays":30,"isAutoAssignAfterFailedCode":false,"mayAdvisorsEditProfile":false,"isNicknameShown":false,"mayAnalystsReadFreeText":false,"notifyOnAdvisorQr":true,"notifyOnGroupQr":true,` +
			`"notifyOnWechatAd":true,"notifyOnAutoAssign":false,"serviceRulesVersion":"<text rules>","conversationLink":"","taskLink":"","outsideLanguage":"ZH_CN","followReply":"","eventRetentionDays":7,"messageReadableDays":30,"messageRetentionDays":180,"linkedMiniPrograms":[],"advertisementGroupId":""}`,
		after: `{"timeZone":"Europe/Berlin","policyPreset":"PLATFORM_TODAY","policyOverrides":{"outreachPerMonth":3},"outreachCarrier":"DIRECT","isAutoAssignOn":true,` +
			`"onUnfollow":"ERASE_AFTER","eraseAfterDays":9,"isAutoAssignAfterFailedCode":true,"mayAdvisorsEditProfile":true,"isNicknameShown":true,"mayAnalystsReadFreeText":true,"notifyOnAdvisorQr":false,` +
			`"notifyOnGroupQr":false,"notifyOnWechatAd":false,"notifyOnAutoAssign":true,"serviceRulesVersion":"<text rules>","conversationLink":"https://example.com/x","taskLink":"https://example.com/y","outsideLanguage":"EN","followReply":"hi","eventRetentionDays":8,"messageReadableDays":40,"messageRetentionDays":200,"linkedMiniPrograms":["wx0000000000000001"],"advertisementGroupId":"<id tea>"}`,
	},
	{of: "updateAccountSettings", document: `updateAccountSettings(input: {timeZone: "Asia/Shanghai"}) { account { id } }`, before: `{"timeZone":"Europe/Berlin"}`, after: `{"timeZone":"Asia/Shanghai"}`},
	{of: "setCallbackCredentials", who: "wechat", document: `setCallbackCredentials(input: {mode: COMPATIBLE, token: "token", aesKey: "<text aes key>"}) { account { id } }`, before: `{"mode":"SECURE"}`, after: `{"isNew":true,"mode":"COMPATIBLE"}`},
	{of: "setAppSecret", who: "wechat", document: `setAppSecret(input: {secret: "0123456789abcdef0123456789abcdef"}) { account { id } }`, before: `{"isSet":false}`, after: `{"isSet":true}`},
	{of: "inviteAdvisors", document: `inviteAdvisors(input: {advisors: [{openid: "qin", nickname: "n"}]}) { results { error { code } } }`, after: `{"avatarUrl":"","nickname":"n","state":"PENDING"}`},
	{of: "answerInvitation", who: "qin", document: `answerInvitation(input: {accept: true}) { advisor { id } }`, before: `{"rules":"","state":"PENDING"}`, after: `{"rules":"","state":"ACTIVE"}`},
	{of: "acceptServiceRules", who: "qin", document: `acceptServiceRules(input: {version: "<text rules>"}) { advisor { id } }`, before: `{"rules":"","state":"ACTIVE"}`, after: `{"rules":"<text rules>","state":"ACTIVE"}`},
	{of: "setPresence", who: "anna", document: `setPresence(input: {presence: ONLINE}) { advisor { id } }`, before: ownRecord},
	{
		of: "updateAdvisor", document: `updateAdvisor(input: {advisor: {id: "<id anna>"}, nickname: "Anna"}) { advisor { id } }`,
		before: `{"avatarUrl":"","nickname":"anna"}`, after: `{"avatarUrl":"","nickname":"Anna"}`,
	},
	{of: "removeAdvisor", document: `removeAdvisor(input: {advisor: {openid: "qin"}}) { advisor { id } }`, before: `{"state":"ACTIVE"}`, after: `{"customers":{"operation":"UNBIND","source":"CONSOLE"},"state":"REMOVED"}`},
	{
		of: "inviteAdvisors", document: `inviteAdvisors(input: {advisors: [{openid: "qin", nickname: "m"}]}) { results { error { code } } }`,
		before: `{"avatarUrl":"","nickname":"n","state":"REMOVED"}`, after: `{"avatarUrl":"","nickname":"m","state":"PENDING"}`,
	},
	{of: "issueAdvisorToken", document: `issueAdvisorToken(input: {advisor: {id: "<id anna>"}}) { token }`, after: something},
	{of: "revokeToken", document: `revokeToken(input: {tokenId: "t", expiresAt: "<text in an hour>"}) { rememberedUntil }`, after: `{"token":"t","until":"<text until>"}`},
	{of: "revokeToken", document: `revokeToken(input: {tokenId: "t"}) { rememberedUntil }`, before: `{"token":"t","until":"<text until>"}`, after: something},
	{
		of: "revokeTokensIssuedBefore", document: `revokeTokensIssuedBefore(input: {bearer: {advisor: {id: "<id ben>"}}, at: "2001-01-01T00:00:00Z"}) { issuedBefore }`,
		after: `{"before":"2001-01-01T00:00:00Z"}`,
	},
	{
		of: "revokeTokensIssuedBefore", document: `revokeTokensIssuedBefore(input: {bearer: {advisor: {id: "<id ben>"}}, at: "2002-01-01T00:00:00Z"}) { issuedBefore }`,
		before: `{"before":"2001-01-01T00:00:00Z"}`, after: `{"before":"2002-01-01T00:00:00Z"}`,
	},
	{
		of: "revokeTokensIssuedBefore", document: `revokeTokensIssuedBefore(input: {bearer: {subject: "s"}, at: "2001-01-01T00:00:00Z"}) { issuedBefore }`,
		after: `{"before":"2001-01-01T00:00:00Z","subject":"s"}`,
	},
	{of: "createGroup", document: `createGroup(input: {name: "coffee"}) { group { id } }`, after: `{"name":"coffee"}`},
	{
		of: "assignCustomers", document: `assignCustomers(input: {customers: {matching: {openids: ["mei"], search: "m", isAssigned: false, group: "<id tea>", advisor: {id: "<id anna>"}, tags: {any: [{id: "<id gold>"}]},
			boundFrom: "2001-01-01T00:00:00Z"}}, to: {groupId: "<id tea>"}}) { job { id } }`,
		after: `{"order":{"operation":"ASSIGN","source":"CONSOLE","groupId":"<id tea>"},"filter":{"assigned":false,"advisorId":"<id anna>","groupId":"<id tea>","tags":{"any":["<id gold>"]},` +
			`"boundFrom":"2001-01-01T00:00:00Z"},"until":"<text now>","listed":1,"searched":true}`,
	},
	{of: "renameGroup", document: `renameGroup(input: {groupId: "<id tea>", name: "green"}) { group { id } }`, before: `{"name":"tea"}`, after: `{"name":"green"}`},
	{
		of: "removeGroupAdvisors", document: `removeGroupAdvisors(input: {groupId: "<id tea>", advisors: [{id: "<id ben>"}]}) { results { error { code } } }`,
		before: `{"members":2}`, after: `{"members":1,"removed":["<id ben>"]}`,
	},
	{
		of: "addGroupAdvisors", document: `addGroupAdvisors(input: {groupId: "<id tea>", advisors: [{id: "<id ben>"}, {id: "<id anna>"}]}) { results { error { code } } }`,
		before: `{"members":1}`, after: `{"added":["<id ben>"],"members":2}`,
	},
	{of: "deleteGroup", document: `deleteGroup(input: {groupId: "<id tea>"}) { groupId }`, before: `{"members":2,"name":"green"}`},
	{
		of: "assignCustomers", document: `assignCustomers(input: {customers: {these: [{openid: "mei"}]}, to: {advisor: {id: "<id anna>"}}}) { results { error { code } } }`,
		after:      `{"operation":"ASSIGN","source":"CONSOLE","advisorId":"<id anna>"}`,
		itemBefore: `{"advisorId":null}`, itemAfter: `{"advisorId":"<id anna>"}`,
	},
	{
		of: "tagCustomers", document: `tagCustomers(input: {customers: [{customer: {openid: "mei"}, add: [{name: "gold"}]}]}) { results { error { code } } }`,
		itemBefore: `{"tags":[]}`, itemAfter: `{"tags":["gold"]}`,
	},
	{
		of: "updateCustomers", document: `updateCustomers(input: {customers: [{customer: {openid: "mei"}, nickname: "Mei", avatarUrl: "https://m.example/1.png", info: ["likes tea"], region: {city: "Xi'an"}}]}) { results { error { code } } }`,
		itemBefore: `{"avatarUrl":"","info":[],"nickname":"","region":{"city":"","country":"","province":""}}`,
		itemAfter:  `{"avatarUrl":"https://m.example/1.png","info":["likes tea"],"nickname":"Mei","region":{"city":"Xi'an","country":"","province":""}}`,
	},
	{
		of: "updateCustomers", document: `updateCustomers(input: {customers: [{customer: {openid: "mei"}, nickname: "Mei Li", info: ["likes tea"]}]}) { results { error { code } } }`,
		itemBefore: `{"nickname":"Mei"}`, itemAfter: `{"nickname":"Mei Li"}`,
	},
	{of: "updateCustomers", document: `updateCustomers(input: {customers: [{customer: {openid: "mei"}, nickname: "Mei Li"}]}) { results { error { code } } }`},
	{
		of: "rebindCustomers", document: `rebindCustomers(input: {customers: {these: [{openid: "mei"}]}, to: {advisor: {id: "<id ben>"}}, keep: {nickname: true, info: false, tags: false}}) { results { error { code } } }`,
		after:      `{"operation":"REBIND","source":"CONSOLE","keep":{"nickname":true,"info":false,"tags":false,"history":true},"advisorId":"<id ben>"}`,
		itemBefore: `{"advisorId":"<id anna>","info":["likes tea"],"tags":["gold"]}`, itemAfter: `{"advisorId":"<id ben>","info":[],"tags":[]}`,
	},
	{
		of: "unbindCustomers", document: `unbindCustomers(input: {customers: {these: [{openid: "mei"}]}}) { results { error { code } } }`,
		after:      `{"operation":"UNBIND","source":"CONSOLE"}`,
		itemBefore: `{"advisorId":"<id ben>"}`, itemAfter: `{"advisorId":null}`,
	},
	{of: "createTag", document: `createTag(input: {name: "taste"}) { tag { id } }`, after: `{"name":"taste"}`},
	{of: "renameTag", document: `renameTag(input: {tagId: "<id level>", name: "rank"}) { tag { id } }`, before: `{"name":"level"}`, after: `{"name":"rank"}`},
	{of: "createTagOption", document: `createTagOption(input: {tagId: "<id level>", name: "tin"}) { option { id } }`, after: `{"name":"tin"}`},
	{of: "renameTagOption", document: `renameTagOption(input: {optionId: "<id gold>", name: "silver"}) { option { id } }`, before: `{"name":"gold"}`, after: `{"name":"silver"}`},
	{of: "removeTagOption", document: `removeTagOption(input: {optionId: "<id gold>"}) { optionId }`, before: `{"name":"silver"}`},
	{of: "removeTag", document: `removeTag(input: {tagId: "<id level>"}) { tagId }`, before: `{"name":"rank","options":["tin"]}`},
	{of: "unbindCustomers", document: `unbindCustomers(input: {customers: {matching: {openids: ["nobody"]}}}) { job { id } }`, after: something},
	{of: "cancelJob", document: `cancelJob(input: {jobId: "<id last job>"}) { job { id } }`, before: `{"state":"QUEUED"}`, after: `{"done":0,"kind":"UNBIND_CUSTOMERS","state":"CANCELLED"}`},
	{of: "createQRCodes", document: `createQRCodes(input: {codes: [{owner: {advisor: {id: "<id anna>"}}, label: "autumn"}]}) { results { error { code } } }`, after: `{"made":1}`},
	{of: "uploadImages", document: `uploadImages(input: {files: $files}) { results { error { code } } }`},
	{of: "createImport", document: `createImport(input: {kind: CUSTOMERS}) { import { id } }`, after: `{"kind":"CUSTOMERS"}`},
	{of: "uploadImport", document: `uploadImport(input: {importId: "<id upload>", offset: 0, data: "b3BlbmlkCg=="}) { import { id } }`, before: ownRecord},
	{of: "deleteImport", document: `deleteImport(input: {importId: "<id upload>"}) { importId }`, before: `{"bytes":7,"kind":"CUSTOMERS"}`},
	{of: "startImport", document: `startImport(input: {importId: "<id import>"}) { job { id } }`, after: something},
	{of: "importFollowers", who: "wechat", document: `importFollowers(input: {}) { job { id } }`, after: `{"kind":"IMPORT_FOLLOWERS"}`},
	{of: "exportAdvisors", document: `exportAdvisors(input: {first: 1}) { auditId }`, after: `{"advisors":1}`},
	{of: "exportAuditLog", document: `exportAuditLog(input: {first: 1}) { auditId }`, after: `{"entries":1}`},
	{of: "exportCustomer", document: `exportCustomer(input: {customer: {id: "<id wei>"}, first: 1}) { auditId }`, after: `{"records":1}`},
	{
		of: "createWebhook", document: `createWebhook(input: {url: "https://crm.invalid/x", name: " crm ", kinds: [CUSTOMER_CHANGED, CUSTOMER_CHANGED], isPaused: true}) { webhook { id } }`,
		after: `{"kinds":["CUSTOMER_CHANGED"],"name":"crm","state":"PAUSED","url":"https://crm.invalid/x"}`,
	},
	{
		of: "updateWebhook", document: `updateWebhook(input: {webhookId: "<id webhook>", url: "https://crm.invalid/z", name: null, kinds: []}) { webhook { id } }`,
		before: `{"kinds":[],"name":"","state":"PAUSED","url":"https://crm.invalid/y"}`, after: `{"kinds":[],"name":"","state":"PAUSED","url":"https://crm.invalid/z"}`,
	},
	{of: "rotateWebhookSecret", document: `rotateWebhookSecret(input: {webhookId: "<id webhook>"}) { webhook { id } }`, after: `{"isNew":true}`},
	{of: "testWebhook", document: `testWebhook(input: {webhookId: "<id webhook>"}) { webhook { id } }`},
	{of: "replayDeadLetters", document: `replayDeadLetters(input: {webhookId: "<id webhook>"}) { replayedCount }`, after: `{"count":0}`},
	{
		of: "deleteWebhook", document: `deleteWebhook(input: {webhookId: "<id webhook>"}) { webhookId }`,
		before: `{"kinds":[],"name":"","state":"PAUSED","url":"https://crm.invalid/z"}`,
	},
	{of: "sendMessage", who: "anna", document: `sendMessage(input: {customer: {id: "<id wei>"}, text: "x", idempotencyKey: "k"}) { message { id } }`, before: ownRecord},
	{of: "resendMessage", who: "anna", document: `resendMessage(input: {messageId: "<id failed>", idempotencyKey: "r"}) { message { id } }`, before: ownRecord},
	{of: "confirmOutreach", who: "anna", document: `confirmOutreach(input: {customer: {id: "<id wei>"}}) { isConsumed }`, before: `{"no":0}`, after: something},
	{of: "recordPayment", document: `recordPayment(input: {payments: [{customer: {id: "<id wei>"}, transactionId: "p", at: "<now>"}]}) { results { error { code } } }`, after: something},
	{of: "recordMassSend", document: `recordMassSend(input: {key: "m", at: "<now>", audience: {openids: ["wei"]}}) { isRepeated }`, after: something},
	{of: "markConversationRead", who: "anna", document: `markConversationRead(input: {customer: {id: "<id wei>"}}) { conversation { id } }`, before: ownRecord},
	{of: "markNotificationsRead", who: "anna", document: `markNotificationsRead(input: {notificationIds: ["<id notification>"]}) { notifications { id } }`, before: ownRecord},
	{of: "simulateFollow", document: `simulateFollow(input: {openid: "f", scene: "none"}) { outcome }`, after: `"FOLLOW"`},
	{of: "simulateScan", document: `simulateScan(input: {openid: "f", scene: "none"}) { outcome }`, after: `"SCAN"`},
	{of: "simulateMenuClick", document: `simulateMenuClick(input: {openid: "f"}) { customer { id } }`, after: `"MENU"`},
	{of: "simulateMessage", document: `simulateMessage(input: {openid: "f", text: "x"}) { customer { id } }`, after: `"MESSAGE"`},
	{of: "simulatePayment", document: `simulatePayment(input: {openid: "f"}) { customer { id } }`, after: `"PAYMENT"`},
	{of: "simulateUnfollow", document: `simulateUnfollow(input: {openid: "f"}) { customer { id } }`, after: `"UNFOLLOW"`},
	{of: "simulateSending", document: `simulateSending(input: {sending: STALL}) { sending }`, before: `"ACCEPT"`, after: `"STALL"`},
	{of: "eraseCustomer", document: `eraseCustomer(input: {customer: {openid: "mei"}}) { erasure { id } }`},
}

// auditRow is an entry, with the first of its items.
type auditRow struct{ action, before, after, itemBefore, itemAfter string }

// Ensure every mutation is in auditValues, and that the audit log tells of it what stands there: what was wherever
// something was, and what is since; an export has the same, with the items (rule R5).
func TestAuditValues(t *testing.T) {
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	rows := map[string]bool{}
	for _, row := range auditValues {
		rows[row.of] = true
	}
	for _, f := range schema.Mutation.Fields {
		if !rows[f.Name] {
			t.Errorf("%s is not in the table", f.Name)
		}
	}
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{sweep: time.Hour, jobs: -1})
		a := &accessible{fresh: map[string]string{}, tenant: w.found(setup{
			Advisors: []string{"anna", "ben"}, Groups: []string{"tea of anna ben"}, Tags: []string{"level of gold"}, Followers: []string{"mei"}, Customers: []string{"wei of anna"},
		}, "main")}
		wechat := w.found(setup{Channel: "WECHAT"}, "wechat")
		a.name("id upload", a.uploading("", 1))
		a.name("id import", a.uploading("openid\nwei\n", 100))
		a.name("id webhook", a.webhook())
		notices := a.do("anna", `{ notifications { nodes { id } } }`, nil).field("notifications.nodes").([]any)
		a.name("id notification", (&answer{Data: notices[0]}).text("id"))
		a.do("admin", `mutation { simulateSending(input: {sending: REFUSE_CUSTOMER}) { sending } }`, nil)
		a.name("id failed", a.send("anna", "wei", secretText))
		a.delivered()
		a.do("admin", `mutation { simulateSending(input: {sending: ACCEPT}) { sending } }`, nil)
		a.follow("qin", "")
		a.names["text now"] = w.clock.Now().UTC().Format(time.RFC3339Nano)
		a.names["text in an hour"] = w.clock.Now().Add(time.Hour).UTC().Format(timeForm)
		a.names["text until"] = w.clock.Now().Add(time.Hour + auth.Leeway).UTC().Format(time.RFC3339)
		a.names["text rules"] = a.do("admin", `{ viewer { account { serviceRulesVersion } } }`, nil).text("viewer.account.serviceRulesVersion")
		a.names["text aes key"] = strings.Repeat("k", 43)

		seen := w.auditRows(map[string]auditRow{})
		for _, row := range auditValues {
			if jobs := a.do("admin", `{ jobs(first: 1) { nodes { id } } }`, nil).field("jobs.nodes").([]any); len(jobs) > 0 {
				a.names["id last job"] = (&answer{Data: jobs[0]}).text("id")
			}
			of, who := a.tenant, row.who
			switch who {
			case "":
				who = "admin"
			case "wechat":
				of, who = wechat, "admin"
			}
			ask := func() *answer { return of.try(who, "mutation { "+a.document(row.document)+" }", nil) }
			if row.of == "uploadImages" {
				ask = func() *answer {
					return of.sendFiles(of.bearer(who, of.account), "mutation($files: [Upload!]!) { "+row.document+" }", nil, imageOf(t, "GIF", 2, 2))
				}
			}
			if got := ask(); strings.Contains(string(got.body), `"code"`) {
				t.Errorf("%s: %.300s", row.of, got.body)
			}
			fresh := w.auditRows(seen)
			maps.Copy(seen, fresh)
			if row.before == ownRecord {
				if len(fresh) != 0 {
					t.Errorf("%s is in the log with %v", row.of, fresh)
				}
				continue
			}
			want := auditRow{row.of, row.before, row.after, row.itemBefore, row.itemAfter}
			if strings.HasPrefix(row.of, "simulate") && row.of != "simulateSending" {
				want.action = "simulate"
			}
			if len(fresh) != 1 {
				t.Errorf("%s is in the log %d times", row.of, len(fresh))
			}
			for _, got := range fresh {
				for _, text := range []struct{ got, want *string }{{&got.before, &want.before}, {&got.after, &want.after}} {
					if *text.want == something && *text.got != "" {
						*text.want = *text.got
					}
					*text.want = names(a.names).fill(*text.want).(string)
				}
				want.itemBefore, want.itemAfter = names(a.names).fill(want.itemBefore).(string), names(a.names).fill(want.itemAfter).(string)
				if got != want {
					t.Errorf("the log tells\n%+v, want\n%+v", got, want)
				}
			}
		}
		a.exportTells(seen)
	})
}

// auditRows are the entries that are not among those that were seen, by the hexadecimal of their keys.
func (w *world) auditRows(seen map[string]auditRow) map[string]auditRow {
	w.tb.Helper()
	rows, err := w.db.Query(`SELECT HEX(a.id), a.action, a.before_json, a.after_json, COALESCE(i.before_json, ''), COALESCE(i.after_json, '')
		FROM audit a LEFT JOIN audit_item i ON i.account_id = a.account_id AND i.audit_id = a.id AND i.no = 0`)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer rows.Close()
	fresh := map[string]auditRow{}
	for rows.Next() {
		var key string
		var r auditRow
		if err := rows.Scan(&key, &r.action, &r.before, &r.after, &r.itemBefore, &r.itemAfter); err != nil {
			w.tb.Fatal(err)
		}
		if _, old := seen[key]; !old {
			fresh[key] = r
		}
	}
	if err := rows.Err(); err != nil {
		w.tb.Fatal(err)
	}
	return fresh
}

// exportTells holds an export of the audit log to its rows.
func (a *accessible) exportTells(rows map[string]auditRow) {
	a.tb.Helper()
	lines := a.do("admin", `mutation { exportAuditLog(input: {}) { lines } }`, nil).field("exportAuditLog.lines").([]any)
	if len(lines) < len(auditValues)/2 {
		a.tb.Fatalf("%d lines", len(lines))
	}
	for _, l := range lines {
		var line struct {
			ID, Action    string
			Before, After json.RawMessage
			Items         []struct{ Before, After json.RawMessage }
		}
		if err := json.Unmarshal([]byte(l.(string)), &line); err != nil {
			a.tb.Fatal(err)
		}
		told := func(raw json.RawMessage) string { return strings.TrimPrefix(string(raw), "null") }
		got := auditRow{action: line.Action, before: told(line.Before), after: told(line.After)}
		if len(line.Items) > 0 {
			got.itemBefore, got.itemAfter = strings.Trim(told(line.Items[0].Before), `"`), strings.Trim(told(line.Items[0].After), `"`)
		}
		want := rows[strings.ToUpper(hex.EncodeToString(sliceOf(keyOf(a.tb, line.ID))))]
		if want.itemBefore != "" && strings.Contains(l.(string), a.names["id mei"]) { // who was erased at the end
			want.itemBefore, want.itemAfter = models.Erased, models.Erased
		}
		if got != want {
			a.tb.Errorf("the export tells\n%+v, the log\n%+v", got, want)
		}
	}
}

func sliceOf(k models.Key) []byte { return k[:] }
