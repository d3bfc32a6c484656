package services

import (
	"context"
	"slices"

	"clientele/auth"
	"clientele/models"
)

// Permission is what a root field asks of its viewer. All are listed here; the schema's @allow
// repeats the roles, and tests/access_test.go holds the two equal.
type Permission struct {
	// Field is the root field's name.
	Field string
	Roles []auth.Role
	// Open: the account's capability must be open (rule A1).
	Open bool
	// Serving: an ADVISOR must be ACTIVE and have accepted the service rules (rule V7).
	Serving bool
}

var (
	staff    = []auth.Role{auth.RoleAdmin, auth.RoleIntegration}
	readers  = []auth.Role{auth.RoleAdmin, auth.RoleIntegration, auth.RoleAnalyst}
	everyone = []auth.Role{auth.RoleAdmin, auth.RoleIntegration, auth.RoleAnalyst, auth.RolePlatform, auth.RoleAdvisor}
	tenants  = []auth.Role{auth.RoleAdmin, auth.RoleIntegration, auth.RoleAnalyst, auth.RoleAdvisor}
	editors  = []auth.Role{auth.RoleAdmin, auth.RoleIntegration, auth.RoleAdvisor}
	advisors = []auth.Role{auth.RoleAdvisor}
	platform = []auth.Role{auth.RolePlatform}
)

// The permissions of the root fields.
var (
	mayView         = Permission{Field: "viewer", Roles: everyone}
	mayNode         = Permission{Field: "node", Roles: everyone}
	mayNodes        = Permission{Field: "nodes", Roles: everyone}
	mayAccount      = Permission{Field: "account", Roles: everyone}
	mayAdvisors     = Permission{Field: "advisors", Roles: readers}
	mayAdvisor      = Permission{Field: "advisor", Roles: tenants}
	mayAdvisorships = Permission{Field: "viewerAdvisorships", Roles: advisors}
	mayGroups       = Permission{Field: "groups", Roles: readers}
	mayCustomers    = Permission{Field: "customers", Roles: tenants, Serving: true}
	mayCustomer     = Permission{Field: "customer", Roles: tenants, Serving: true}

	mayInbox          = Permission{Field: "inbox", Roles: advisors, Serving: true}
	mayConversation   = Permission{Field: "conversation", Roles: tenants, Serving: true}
	mayContactability = Permission{Field: "contactability", Roles: advisors, Serving: true}
	mayAuditLog       = Permission{Field: "auditLog", Roles: staff}
	mayNotifications  = Permission{Field: "notifications", Roles: advisors}
	mayEventCursor    = Permission{Field: "eventCursor", Roles: editors}
	mayMessages       = Permission{Field: "messages", Roles: advisors, Serving: true}

	mayCreateAccount   = Permission{Field: "createAccount", Roles: platform}
	mayRecordFacts     = Permission{Field: "recordAccountFacts", Roles: platform}
	mayAcceptTerms     = Permission{Field: "acceptTerms", Roles: staff}
	mayCloseAccount    = Permission{Field: "closeAccount", Roles: staff}
	mayUpdateSettings  = Permission{Field: "updateAccountSettings", Roles: staff}
	maySetCredentials  = Permission{Field: "setCallbackCredentials", Roles: staff}
	maySetAppSecret    = Permission{Field: "setAppSecret", Roles: staff}
	mayInvite          = Permission{Field: "inviteAdvisors", Roles: staff, Open: true}
	mayUpdateAdvisor   = Permission{Field: "updateAdvisor", Roles: []auth.Role{auth.RoleAdmin, auth.RoleIntegration, auth.RoleAdvisor}, Open: true, Serving: true}
	mayRemoveAdvisor   = Permission{Field: "removeAdvisor", Roles: staff, Open: true}
	mayAnswer          = Permission{Field: "answerInvitation", Roles: advisors, Open: true}
	mayAcceptRules     = Permission{Field: "acceptServiceRules", Roles: advisors, Open: true}
	maySetPresence     = Permission{Field: "setPresence", Roles: advisors, Open: true, Serving: true}
	mayIssueToken      = Permission{Field: "issueAdvisorToken", Roles: staff, Open: true}
	mayRevokeToken     = Permission{Field: "revokeToken", Roles: staff}
	mayCreateGroup     = Permission{Field: "createGroup", Roles: staff, Open: true}
	mayRenameGroup     = Permission{Field: "renameGroup", Roles: staff, Open: true}
	mayDeleteGroup     = Permission{Field: "deleteGroup", Roles: staff, Open: true}
	mayTakeFromGroup   = Permission{Field: "removeGroupAdvisors", Roles: staff, Open: true}
	mayAddToGroup      = Permission{Field: "addGroupAdvisors", Roles: staff, Open: true}
	maySend            = Permission{Field: "sendMessage", Roles: advisors, Open: true, Serving: true}
	mayResend          = Permission{Field: "resendMessage", Roles: advisors, Open: true, Serving: true}
	mayConfirmOutreach = Permission{Field: "confirmOutreach", Roles: advisors, Open: true, Serving: true}
	mayRecordPayment   = Permission{Field: "recordPayment", Roles: staff, Open: true}
	mayRecordMassSend  = Permission{Field: "recordMassSend", Roles: staff, Open: true}
	mayMarkRead        = Permission{Field: "markConversationRead", Roles: advisors, Open: true, Serving: true}
	mayMarkNotices     = Permission{Field: "markNotificationsRead", Roles: advisors, Open: true}
	maySimulateFollow  = Permission{Field: "simulateFollow", Roles: staff}
	maySimulateLeave   = Permission{Field: "simulateUnfollow", Roles: staff}
	maySimulateScan    = Permission{Field: "simulateScan", Roles: staff}
	maySimulateMenu    = Permission{Field: "simulateMenuClick", Roles: staff}
	maySimulateMessage = Permission{Field: "simulateMessage", Roles: staff}
	maySimulatePayment = Permission{Field: "simulatePayment", Roles: staff}
	maySimulateSending = Permission{Field: "simulateSending", Roles: staff}

	mayQRCodes       = Permission{Field: "qrCodes", Roles: tenants, Serving: true}
	mayQRCodePicture = Permission{Field: "qrCodePicture", Roles: tenants, Serving: true}
	mayCreateQRCodes = Permission{Field: "createQRCodes", Roles: staff, Open: true}
	mayUploadImages  = Permission{Field: "uploadImages", Roles: editors, Open: true, Serving: true}
	mayScans         = Permission{Field: "scans", Roles: readers}

	mayBindings     = Permission{Field: "bindings", Roles: readers}
	mayNewCustomers = Permission{Field: "newCustomers", Roles: tenants, Serving: true}

	mayAssign = Permission{Field: "assignCustomers", Roles: staff, Open: true}
	mayRebind = Permission{Field: "rebindCustomers", Roles: staff, Open: true}
	mayUnbind = Permission{Field: "unbindCustomers", Roles: staff, Open: true}

	mayTags            = Permission{Field: "tags", Roles: tenants, Serving: true}
	mayCreateTag       = Permission{Field: "createTag", Roles: staff, Open: true}
	mayRenameTag       = Permission{Field: "renameTag", Roles: staff, Open: true}
	mayRemoveTag       = Permission{Field: "removeTag", Roles: staff, Open: true}
	mayCreateTagOption = Permission{Field: "createTagOption", Roles: staff, Open: true}
	mayRenameTagOption = Permission{Field: "renameTagOption", Roles: staff, Open: true}
	mayRemoveTagOption = Permission{Field: "removeTagOption", Roles: staff, Open: true}
	mayTagCustomers    = Permission{Field: "tagCustomers", Roles: editors, Open: true, Serving: true}
	mayUpdateCustomers = Permission{Field: "updateCustomers", Roles: editors, Open: true, Serving: true}
	mayCustomerChanges = Permission{Field: "customerChanges", Roles: staff}

	mayCustomerChangeFeed = Permission{Field: "customerChangeFeed", Roles: staff}
	mayAccountEvents      = Permission{Field: "accountEvents", Roles: staff}

	mayExportAudit    = Permission{Field: "exportAuditLog", Roles: staff}
	mayExportAdvisors = Permission{Field: "exportAdvisors", Roles: staff}

	mayErase    = Permission{Field: "eraseCustomer", Roles: staff}
	mayExport   = Permission{Field: "exportCustomer", Roles: staff}
	mayErasure  = Permission{Field: "erasure", Roles: staff}
	mayErasures = Permission{Field: "erasures", Roles: staff}

	mayImport       = Permission{Field: "import", Roles: staff}
	mayCreateImport = Permission{Field: "createImport", Roles: staff, Open: true}
	mayUploadImport = Permission{Field: "uploadImport", Roles: staff, Open: true}
	mayStartImport  = Permission{Field: "startImport", Roles: staff, Open: true}
	mayDeleteImport = Permission{Field: "deleteImport", Roles: staff, Open: true}

	mayImportFollowers = Permission{Field: "importFollowers", Roles: staff, Open: true}

	mayJob       = Permission{Field: "job", Roles: staff}
	mayJobs      = Permission{Field: "jobs", Roles: staff}
	mayCancelJob = Permission{Field: "cancelJob", Roles: staff, Open: true}
	mayWatchJob  = Permission{Field: "jobChanges", Roles: staff}

	// Settings and credentials, which are changed while the account is closed too (rule A1).
	mayWebhooks            = Permission{Field: "webhooks", Roles: staff}
	mayDeadLetters         = Permission{Field: "deadLetters", Roles: staff}
	mayCreateWebhook       = Permission{Field: "createWebhook", Roles: staff}
	mayUpdateWebhook       = Permission{Field: "updateWebhook", Roles: staff}
	mayDeleteWebhook       = Permission{Field: "deleteWebhook", Roles: staff}
	mayRotateWebhookSecret = Permission{Field: "rotateWebhookSecret", Roles: staff}
	mayTestWebhook         = Permission{Field: "testWebhook", Roles: staff}
	mayReplayDeadLetters   = Permission{Field: "replayDeadLetters", Roles: staff}

	mayRevokeIssuedBefore = Permission{Field: "revokeTokensIssuedBefore", Roles: staff}
)

// Permissions lists them all, for the test that compares them with the schema.
func Permissions() []Permission {
	return []Permission{
		mayView, mayNode, mayNodes, mayAccount, mayAdvisors, mayAdvisor, mayAdvisorships, mayGroups, mayCustomers, mayCustomer,
		mayAuditLog, mayInbox, mayConversation, mayContactability, mayNotifications, mayEventCursor, mayMessages,
		mayCreateAccount, mayRecordFacts, mayAcceptTerms, mayCloseAccount, mayUpdateSettings, maySetCredentials, maySetAppSecret,
		mayInvite, mayUpdateAdvisor, mayRemoveAdvisor, mayAnswer, mayAcceptRules, maySetPresence, mayIssueToken, mayRevokeToken, mayRevokeIssuedBefore,
		mayCreateGroup, mayRenameGroup, mayDeleteGroup, mayAddToGroup, mayTakeFromGroup, mayQRCodes, mayQRCodePicture, mayCreateQRCodes, mayUploadImages, mayScans, mayBindings, mayNewCustomers, mayAssign, mayRebind, mayUnbind,
		mayTags, mayCreateTag, mayRenameTag, mayRemoveTag, mayCreateTagOption, mayRenameTagOption, mayRemoveTagOption,
		mayTagCustomers, mayUpdateCustomers, mayCustomerChanges, mayCustomerChangeFeed, mayAccountEvents,
		mayExportAudit, mayExportAdvisors, mayErase, mayExport, mayErasure, mayErasures,
		mayImport, mayCreateImport, mayUploadImport, mayStartImport, mayDeleteImport, mayImportFollowers,
		mayJob, mayJobs, mayCancelJob, mayWatchJob,
		mayWebhooks, mayDeadLetters, mayCreateWebhook, mayUpdateWebhook, mayDeleteWebhook, mayRotateWebhookSecret, mayTestWebhook, mayReplayDeadLetters,
		maySend, mayResend, mayConfirmOutreach, mayRecordPayment, mayRecordMassSend, mayMarkRead, mayMarkNotices,
		maySimulateFollow, maySimulateLeave, maySimulateScan, maySimulateMenu, maySimulateMessage, maySimulatePayment, maySimulateSending,
	}
}

// begin is the first line of every service: the scope of ctx if it has the permission.
// UNAUTHENTICATED, FORBIDDEN, CAPABILITY_NOT_ENABLED, STATE (an advisor who is not ACTIVE) or
// RULES_NOT_ACCEPTED otherwise, in this order.
func (s *Services) begin(ctx context.Context, p Permission) (*Scope, error) {
	c, err := s.scope(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(p.Roles, c.Viewer.Role) {
		return nil, models.Errorf(models.CodeForbidden, "%s is not for %s", p.Field, c.Viewer.Role)
	}
	if p.Open && !c.Account.IsOpen() {
		return nil, models.Errorf(models.CodeCapabilityNotEnabled, "the account's capability is not open")
	}
	if p.Serving && c.refusal != nil {
		return nil, c.refusal
	}
	return c, nil
}

// mayServe reports why an advisor may not serve (rules B3, V7).
func (s *Services) mayServe(c *Scope) error {
	if c.Advisor.StateAt(s.Now()) != models.AdvisorActive {
		return models.Errorf(models.CodeState, "the advisor is not active")
	}
	if !c.Advisor.HasAccepted(c.Account.RulesVersion) {
		return models.Errorf(models.CodeRulesNotAccepted, "the current service rules must be accepted first")
	}
	return nil
}

// sees reports whether the viewer may see a customer of the account (rules V2, V5).
func (c *Scope) sees(customer *models.Customer) bool {
	if !customer.ErasedAt.IsZero() {
		return false // rule E13
	}
	switch c.Viewer.Role {
	case auth.RoleAdmin, auth.RoleIntegration, auth.RoleAnalyst:
		return true
	case auth.RoleAdvisor:
		return c.refusal == nil && customer.AdvisorID == c.Advisor.Key
	case auth.RolePlatform:
	}
	return false
}

// seesJobs reports whether the viewer may see the account's jobs.
func (c *Scope) seesJobs() bool { return slices.Contains(mayJob.Roles, c.Viewer.Role) }

// readsFreeText reports whether the viewer reads what people wrote, and what they are called on the
// platform: an ANALYST does by leave of the account alone (rule V8).
func (c *Scope) readsFreeText() bool {
	return c.Viewer.Role != auth.RoleAnalyst || c.Account.AnalystsReadText
}

// asksFreeText is FORBIDDEN for a viewer who would learn free text by what a reference, filter or search
// finds (rule V8).
func (c *Scope) asksFreeText(field string) error {
	if c.readsFreeText() {
		return nil
	}
	return &models.Error{Code: models.CodeForbidden, Field: field, Message: "an ANALYST without leave to read free text asks for nobody by it"}
}

// shown is the customer as the viewer may see them (rule V8).
func (c *Scope) shown(customer *models.Customer) *models.Customer {
	if c.readsFreeText() {
		return customer
	}
	blank := *customer
	blank.OpenID, blank.UnionID, blank.Nickname, blank.AvatarURL, blank.AvatarID, blank.Info = "", "", "", "", models.Key{}, nil
	return &blank
}

// isStaff reports whether the viewer is ADMIN or INTEGRATION.
func (c *Scope) isStaff() bool { return slices.Contains(staff, c.Viewer.Role) }

// shownAdvisor is the advisor as the viewer may see them: without leave not what they are called on the
// platform, nor their picture (rule V8).
func (c *Scope) shownAdvisor(a *models.Advisor) *models.Advisor {
	if c.readsFreeText() {
		return a
	}
	blank := *a
	blank.OpenID, blank.UnionID, blank.WechatID, blank.AvatarURL, blank.AvatarID = "", "", "", "", models.Key{}
	return &blank
}

// shownAdvisors is shownAdvisor for a list, in its place.
func (c *Scope) shownAdvisors(rows []*models.Advisor) []*models.Advisor {
	for i, a := range rows {
		rows[i] = c.shownAdvisor(a)
	}
	return rows
}

// readsMessages reports whether the viewer may read a customer's messages (rules V2, V8, G12).
func (c *Scope) readsMessages(customer *models.Customer) bool {
	return c.sees(customer) && c.readsFreeText()
}

// owner is the advisor whose list this is; zero when the viewer reads the whole account.
func (c *Scope) owner() models.Key {
	if c.Advisor == nil {
		return models.Key{}
	}
	return c.Advisor.Key
}
