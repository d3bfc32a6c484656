package schema_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"clientele/auth"
	"clientele/limits"
	"clientele/schema"
)

const (
	day    = 24 * time.Hour
	second = time.Second
)

func in(d, unit time.Duration) int { return int(d / unit) }

// said is which numbers a description says, by its coordinate. `first` of a connection needs no
// row; see numbers.
var said = map[string][]int{
	"Account.name":                                    {limits.AccountNameRunes},
	"CreateAccountInput.name":                         {limits.AccountNameRunes},
	"Mutation.acceptTerms":                            {limits.ViolationFreeDays},
	"AcceptTermsInput.version":                        {limits.TermsVersionBytes},
	"UpdateAccountSettingsInput.serviceRulesVersion":  {limits.TermsVersionBytes},
	"RecordAccountFactsInput.violations":              {limits.ViolationsPerCall},
	"UpdateAccountSettingsInput.conversationLink":     {limits.AvatarURLBytes},
	"UpdateAccountSettingsInput.taskLink":             {limits.AvatarURLBytes},
	"UpdateAccountSettingsInput.linkedMiniPrograms":   {limits.MiniPrograms},
	"UpdateAccountSettingsInput.followReply":          {limits.FollowReplyRunes},
	"Account.eventRetentionDays":                      {in(limits.EventRetention, day)},
	"Account.messageReadableDays":                     {in(limits.MessageReadable, day)},
	"Account.messageRetentionDays":                    {in(limits.MessageRetention, day)},
	"UpdateAccountSettingsInput.eventRetentionDays":   {in(limits.EventRetention, day), in(limits.EventRetentionMost, day)},
	"UpdateAccountSettingsInput.messageReadableDays":  {in(limits.MessageReadableLeast, day), in(limits.MessageRetentionMost, day)},
	"UpdateAccountSettingsInput.messageRetentionDays": {in(limits.MessageRetentionLeast, day), in(limits.MessageRetentionMost, day)},
	"Mutation.setCallbackCredentials":                 {in(limits.CallbackRotation, day)},
	"SetAppSecretInput.secret":                        {limits.AppSecretMin, limits.AppSecretMax},
	"PolicyPreset.CLASSIC":                            {in(limits.ReplyWindow, time.Hour), limits.ReplyMessages},
	"PolicyPreset.PLATFORM_TODAY": {
		limits.PlatformReplyMessages, in(limits.ReplyWindow, time.Hour), limits.PlatformShortMessages,
		in(limits.PlatformShortWindow, time.Minute), limits.ReplyMessages,
	},
	"Mutation.uploadImages": {
		limits.ImagesPerCall, limits.ImageBytes, limits.ImagePixels, limits.ImageFramePixels, limits.ImageFrames, limits.UploadBytes, limits.ImagesPerAccount, limits.ImagesPerAdvisorDay,
		limits.ImageMiBPerAccount, in(limits.ImageKept, time.Hour),
	},
	"Query.qrCodePicture(hasAdvisorAvatar)":           {limits.ImageDecodeBytes},
	"UploadImagesInput.files":                         {limits.ImagesPerCall},
	"Image.url":                                       {in(limits.ImageURLLife, time.Minute)},
	"Mutation.inviteAdvisors":                         {limits.InviteBatch, in(limits.InvitationLife, time.Hour)},
	"InviteAdvisorsInput.advisors":                    {limits.InviteBatch},
	"InviteAdvisorsInput.idempotencyKey":              {limits.IdempotencyKeyBytes, in(limits.IdempotencyLife, day)},
	"AdvisorState.EXPIRED":                            {in(limits.InvitationLife, time.Hour)},
	"Query.viewerAdvisorships":                        {limits.Advisorships},
	"Mutation.issueAdvisorToken":                      {in(limits.TokenLife, time.Hour)},
	"IssueAdvisorTokenInput.lifeSeconds":              {in(limits.TokenLife, second)},
	"Advisor.nickname":                                {limits.AdvisorNicknameRunes},
	"AdvisorInvitationInput.nickname":                 {limits.AdvisorNicknameRunes},
	"AdvisorInvitationInput.avatarUrl":                {limits.AvatarURLBytes},
	"Advisor.customerCount":                           {limits.CustomersPerAdvisor},
	"ScanOutcome.ADVISOR_FULL":                        {limits.CustomersPerAdvisor},
	"Query.groups":                                    {limits.GroupsPerAccount},
	"Mutation.createGroup":                            {limits.GroupsPerAccount},
	"Mutation.addGroupAdvisors":                       {limits.AdvisorsPerGroup},
	"AddGroupAdvisorsInput.advisors":                  {limits.AdvisorsPerGroup},
	"Group.memberCount":                               {limits.AdvisorsPerGroup},
	"Group.name":                                      {limits.GroupNameRunes},
	"CreateGroupInput.name":                           {limits.GroupNameRunes},
	"CustomerFilter.isInteractedWithin48h":            {in(limits.InteractedWithin, time.Hour)},
	"CustomerFilter.openids":                          {limits.FilterIdents},
	"CustomerFilter.unionids":                         {limits.FilterIdents},
	"CustomerConnection.totalCount":                   {limits.CustomerCount, limits.PageScan},
	"Query.customers":                                 {limits.PageScan},
	"InboxFilter.isInteractedWithin48h":               {in(limits.InteractedWithin, time.Hour)},
	"TextContent.text":                                {limits.TextBytes, limits.InboundTextBytes},
	"SendMessageInput.text":                           {limits.TextBytes},
	"SendMessageInput.idempotencyKey":                 {limits.IdempotencyKeyBytes, in(limits.IdempotencyLife, day)},
	"SimulateMessageInput.text":                       {limits.InboundTextBytes},
	"Mutation.markNotificationsRead":                  {limits.PageMax},
	"MarkNotificationsReadInput.notificationIds":      {limits.PageMax},
	"Mutation.createQRCodes":                          {limits.CodeBatch, limits.LabelledCodes},
	"CreateQRCodesInput.codes":                        {limits.CodeBatch},
	"CreateQRCodesInput.idempotencyKey":               {limits.IdempotencyKeyBytes, in(limits.IdempotencyLife, day)},
	"Query.qrCodePicture(size)":                       {limits.CodePictureMin, limits.CodePictureMax, limits.CodePicture},
	"Query.qrCodePicture(avatar)":                     {limits.CodeAvatarBytes, limits.CodeAvatarPixels},
	"QRCode.label":                                    {limits.CodeLabelRunes},
	"QRCodeInput.label":                               {limits.CodeLabelRunes},
	"QRCodeInput.lifeSeconds":                         {in(limits.CodeLifeMin, second), in(limits.CodeLifeMax, second), in(limits.CodeLifeMax, day)},
	"QRCodeFilter.label":                              {limits.CodeLabelRunes},
	"ScanFilter.label":                                {limits.CodeLabelRunes},
	"CustomerFilter.label":                            {limits.CodeLabelRunes},
	"Query.scans":                                     {limits.PageScan},
	"QRCode.scene":                                    {limits.SceneBytes},
	"Query.nodes":                                     {limits.NodesPerCall},
	"Query.nodes(ids)":                                {limits.NodesPerCall},
	"Event":                                           {in(limits.EventRetention, day)},
	"Identifier":                                      {limits.OpenIDBytes},
	"Mutation.revokeToken":                            {in(limits.PolicyRecheck, second), limits.RevocationsPerAccount},
	"RevokeTokenInput.expiresAt":                      {in(limits.RevocationLife, day)},
	"RevokeTokensIssuedBeforeInput.at":                {in(auth.Leeway, second)},
	"RevokeTokensIssuedBeforePayload.rememberedUntil": {in(limits.RevocationLife, day)},
	"ResendMessageInput.idempotencyKey":               {limits.IdempotencyKeyBytes, in(limits.IdempotencyLife, day)},
	"Mutation.confirmOutreach":                        {in(limits.OutreachSession, time.Minute), limits.OutreachMessages},
	"PolicyOverridesInput.outreachPerMonth":           {limits.PolicyOutreachPerMonth},
	"PolicyOverridesInput.outreachSessionSeconds":     {in(limits.PolicyOutreachSession, second)},
	"PolicyOverridesInput.outreachMessages":           {limits.PolicyOutreachMessages},
	"AllowanceOverrideInput.messages":                 {limits.PolicyMessages},
	"AllowanceOverrideInput.seconds":                  {in(limits.PolicyWindow, second), in(limits.PolicyWindow, day)},
	"Mutation.recordPayment":                          {limits.PaymentBatch, in(limits.PaymentAge, day)},
	"RecordPaymentInput.payments":                     {limits.PaymentBatch},
	"Mutation.assignCustomers":                        {limits.BindBatch},
	"Mutation.unbindCustomers":                        {limits.BindBatch},
	"Query.tags":                                      {limits.TagsPerAccount, limits.OptionsPerTag},
	"Mutation.createTag":                              {limits.TagsPerAccount},
	"Mutation.createTagOption":                        {limits.OptionsPerTag},
	"Mutation.tagCustomers":                           {limits.EditBatch},
	"Mutation.updateCustomers":                        {limits.EditBatch},
	"Tag.name":                                        {limits.TagNameRunes},
	"Tag.options":                                     {limits.OptionsPerTag},
	"TagOption.name":                                  {limits.TagNameRunes},
	"CreateTagInput.name":                             {limits.TagNameRunes},
	"RenameTagInput.name":                             {limits.TagNameRunes},
	"CreateTagOptionInput.name":                       {limits.TagNameRunes},
	"RenameTagOptionInput.name":                       {limits.TagNameRunes},
	"TagFilter.any":                                   {limits.FilterTags},
	"TagFilter.all":                                   {limits.FilterTags},
	"TagFilter.none":                                  {limits.FilterTags},
	"TagCustomersInput.customers":                     {limits.EditBatch, limits.TagChanges},
	"TagCustomersInput.idempotencyKey":                {limits.IdempotencyKeyBytes, in(limits.IdempotencyLife, day)},
	"Customer.info":                                   {limits.InfoLines},
	"RegionInput.country":                             {limits.RegionRunes},
	"RegionInput.province":                            {limits.RegionRunes},
	"RegionInput.city":                                {limits.RegionRunes},
	"UpdateCustomersInput.customers":                  {limits.EditBatch},
	"UpdateCustomersInput.idempotencyKey":             {limits.IdempotencyKeyBytes, in(limits.IdempotencyLife, day)},
	"CustomerUpdateInput.avatarUrl":                   {limits.AvatarURLBytes},
	"CustomerUpdateInput.nickname":                    {limits.CustomerNicknameRunes},
	"CustomerUpdateInput.info":                        {limits.InfoLines, limits.InfoLineRunes},
	"CustomerFilter.search":                           {limits.SearchRunes},
	"Query.newCustomers":                              {limits.NewCustomers},
	"Query.newCustomers(first)":                       {limits.NewCustomers, limits.PageDefault},
	"Account.eraseAfterDays":                          {limits.EraseAfterDays},
	"UpdateAccountSettingsInput.eraseAfterDays":       {limits.EraseAfterDaysMost},
	"ExportAuditLogInput.first":                       {limits.ExportPage},
	"ExportAdvisorsInput.first":                       {limits.ExportPage},
	"ExportCustomerInput.first":                       {limits.ExportPage},
	"Mutation.createImport":                           {limits.ImportsOpen},
	"ImportKind.CUSTOMERS":                            {limits.InfoLines},
	"ImportKind.MESSAGES":                             {limits.ImportMessageIDBytes, limits.InboundTextBytes},
	"ImportKind.ADVISORS":                             {limits.AdvisorNicknameRunes},
	"Mutation.uploadImport":                           {limits.ImportBytes},
	"UploadImportInput.data":                          {limits.ImportPartBytes},
	"Import.expiresAt":                                {in(limits.ImportLife, time.Hour)},
	"Query.job":                                       {in(limits.JobLife, day)},
	"Job":                                             {limits.JobsPerAccount},
	"Job.totalCount":                                  {limits.JobCount},
	"Job.failedItems":                                 {limits.JobItems},
	"CustomerSelection.these":                         {limits.BindBatch},
	"AssignCustomersInput.idempotencyKey":             {limits.IdempotencyKeyBytes, in(limits.IdempotencyLife, day)},
	"ImportFollowersInput.idempotencyKey":             {limits.IdempotencyKeyBytes, in(limits.IdempotencyLife, day)},
	"RebindCustomersInput.idempotencyKey":             {limits.IdempotencyKeyBytes, in(limits.IdempotencyLife, day)},
	"UnbindCustomersInput.idempotencyKey":             {limits.IdempotencyKeyBytes, in(limits.IdempotencyLife, day)},
	"PaymentInput.transactionId":                      {limits.TransactionIDBytes},
	"Mutation.recordMassSend":                         {limits.MassSendOpenIDs},
	"RecordMassSendInput.key":                         {limits.IdempotencyKeyBytes},
	"MassSendAudience.openids":                        {limits.MassSendOpenIDs},
	"UpdateAdvisorInput.nickname":                     {limits.AdvisorNicknameRunes},
	"UpdateAdvisorInput.avatarUrl":                    {limits.AvatarURLBytes},
	"Advisor.groups":                                  {limits.GroupsPerAccount},
	"Mutation.removeGroupAdvisors":                    {limits.AdvisorsPerGroup},
	"RemoveGroupAdvisorsInput.advisors":               {limits.AdvisorsPerGroup},
	"RenameGroupInput.name":                           {limits.GroupNameRunes},
	"Query.webhooks":                                  {limits.WebhooksPerAccount},
	"Mutation.createWebhook":                          {limits.WebhooksPerAccount},
	"Mutation.rotateWebhookSecret":                    {in(limits.WebhookSecretOverlap, day)},
	"Mutation.testWebhook":                            {in(limits.WebhookTestPause, second)},
	"WebhookFailure.TIMEOUT":                          {in(limits.WebhookTime, second)},
	"DeadLetter":                                      {limits.WebhookAttempts},
	"DeadLetter.createdAt":                            {in(limits.DeadLetterLife, day), limits.DeadLetters},
	"CreateWebhookInput.url":                          {limits.WebhookURLBytes},
	"CreateWebhookInput.name":                         {limits.WebhookNameRunes},
	"UpdateWebhookInput.name":                         {limits.WebhookNameRunes},
	"ReplayDeadLettersInput.deadLetterIds":            {limits.DeadLettersReplayed},
	"AuditFilter.action":                              {limits.AuditActionBytes},
	"AuditFilter.subject":                             {limits.AuditSubjectBytes},
}

// fixed is the numbers that are no limits of the product, by coordinate, with what they are.
var fixed = map[string]struct {
	numbers []int
	what    string
}{
	"WebhookState.GONE":                           {[]int{410}, "a status of HTTP"},
	"WebhookFailure.STATUS":                       {[]int{200, 299}, "statuses of HTTP"},
	"UpdateWebhookInput.isPaused":                 {[]int{410}, "a status of HTTP"},
	"UpdateAccountSettingsInput.conversationLink": {[]int{512}, "the column's size"},
	"SetCallbackCredentialsInput.token":           {[]int{3, 32}, "the platform's form of a token"},
	"SetCallbackCredentialsInput.aesKey":          {[]int{43}, "the platform's form of a key"},
	"Mutation.issueAdvisorToken":                  {[]int{60}, "seconds that any token lives"},
	"IssueAdvisorTokenInput.lifeSeconds":          {[]int{60, 3600}, "seconds that any token lives, and the default"},
	"ErrorCode.ALREADY_SERVICE_AGENT":             {[]int{65407}, "a code of the original API"},
	"Node.id":                                     {[]int{24}, "the length of a relay.ID"},
	"Event":                                       {[]int{2, 3}, "the second and third event"},
	"Subscription.jobChanges":                     {[]int{2, 3}, "the second and third event"},
	"Query.accountEvents(first)":                  {[]int{limits.PageMax, limits.PageDefault}, "a page that is no connection"},
	"Query.customerChangeFeed(first)":             {[]int{limits.PageMax, limits.PageDefault}, "a page that is no connection"},
	"Mutation.removeAdvisor":                      {[]int{4403}, "a close code"},
	"Viewer.tokenExpiresAt":                       {[]int{4403}, "a close code"},
	"SandboxSending.REFUSE_WINDOW":                {[]int{45015}, "a code of the platform"},
	"SandboxSending.REFUSE_CUSTOMER":              {[]int{48002}, "a code of the platform"},
	"Mutation.revokeToken":                        {[]int{4403}, "a close code"},
	"RevokeTokenInput.tokenId":                    {[]int{255}, "the longest id of a token, auth.TokenIDBytes"},
	"TokenBearerRef.subject":                      {[]int{255}, "the longest subject, auth.SubjectBytes"},
	"DateTime":                                    {[]int{3339, 2000, 2199}, "the grammar"},
}

// Ensure a number that a description says is the number that holds: each is in one of the two
// tables above, and each in the tables is said.
func TestNumbersAreLimits(t *testing.T) {
	s := mustLoad(t, schema.SDL())
	for _, fault := range numbers(s, func(where string) []int { return append(slices.Clone(said[where]), fixed[where].numbers...) }) {
		t.Error(fault)
	}
	known := coordinates(s)
	for where := range keys(said) {
		if _, ok := known[where]; !ok {
			t.Errorf("%s: the table names what the schema has not", where)
		}
	}
	for where := range keys(fixed) {
		if _, ok := known[where]; !ok {
			t.Errorf("%s: the table names what the schema has not", where)
		}
	}
}

func TestNumbersFindsFaults(t *testing.T) {
	const sdl = `"Q." type Query { "At most 1,000 (rule E1); 0 or 1 are none; UTF-8; see ` + "`x9 77`" + `." a: Int "More." b: Int "Has 5." c: Int }`
	s := mustLoad(t, sdl)
	table := map[string][]int{"Query.a": {1000}, "Query.b": {7}}
	got := numbers(s, func(where string) []int { return table[where] })
	want := []string{
		"Query.b: does not say 7, which its limit is",
		"Query.c: says 5, which no row of the tables explains",
	}
	if !slices.Equal(got, want) {
		t.Errorf("faults %q, want %q", got, want)
	}
}

var (
	// A number by itself: not in a name (rule E1, UTF-8) or a code sample, with its thousands apart.
	number = regexp.MustCompile(`(^|[^A-Za-z0-9.,-])(\d{1,3}(?:,\d{3})+|\d+)`)
	sample = regexp.MustCompile("`[^`]*`")
)

// numbers is every description whose numbers are not those of table. 0 and 1 are words.
func numbers(s *ast.Schema, table func(where string) []int) []string {
	var faults []string
	described := coordinates(s)
	for _, where := range slices.Sorted(keys(described)) {
		want := table(where)
		if page, ok := firsts(s)[where]; ok {
			want = append(want, page, limits.PageDefault)
		}
		var got []int
		for _, m := range number.FindAllStringSubmatch(sample.ReplaceAllString(described[where], ""), -1) {
			n, err := strconv.Atoi(strings.ReplaceAll(m[2], ",", ""))
			if err == nil {
				got = append(got, n)
			}
		}
		for _, n := range want {
			if !slices.Contains(got, n) {
				faults = append(faults, where+": does not say "+strconv.Itoa(n)+", which its limit is")
			}
		}
		for _, n := range got {
			if n > 1 && !slices.Contains(want, n) {
				faults = append(faults, where+": says "+strconv.Itoa(n)+", which no row of the tables explains")
			}
		}
	}
	return faults
}

// firsts is the most items of a page by the coordinate of the argument that asks for them.
func firsts(s *ast.Schema) map[string]int {
	all := map[string]int{}
	for _, d := range s.Types {
		for _, f := range d.Fields {
			if noun, ok := strings.CutSuffix(f.Type.Name(), "Connection"); ok && f.Arguments.ForName("first") != nil {
				all[d.Name+"."+f.Name+"(first)"] = limits.PageMax
				if noun == "Message" {
					all[d.Name+"."+f.Name+"(first)"] = limits.MessagesPage
				}
			}
		}
	}
	return all
}

// coordinates is every description of the schema by its coordinate.
func coordinates(s *ast.Schema) map[string]string {
	all := map[string]string{}
	for _, d := range s.Types {
		if d.BuiltIn {
			continue
		}
		all[d.Name] = d.Description
		for _, v := range d.EnumValues {
			all[d.Name+"."+v.Name] = v.Description
		}
		for _, f := range d.Fields {
			all[d.Name+"."+f.Name] = f.Description
			for _, a := range f.Arguments {
				all[d.Name+"."+f.Name+"("+a.Name+")"] = a.Description
			}
		}
	}
	return all
}
