package testkit

import (
	"fmt"
	"testing"

	"clientele/models"
	"clientele/store"
)

// Account writes an open account of the sandbox with CLASSIC policy in Shanghai, changed by
// change before it is written.
func Account(tb testing.TB, s *store.Store, change ...func(*models.Account)) *models.Account {
	tb.Helper()
	key := models.NewKey()
	a := &models.Account{
		Key: key, Name: "Teahouse", Channel: models.ChannelSandbox, Capability: models.CapabilityOpen,
		VerifiedAt: s.Now(), TermsVersion: "1", TermsAt: s.Now(), RulesVersion: "1",
		TimeZone: "Asia/Shanghai", PolicyPreset: models.PresetClassic, OutreachCarrier: models.CarrierDirect,
		NotifyAdvisorQR: true, NotifyGroupQR: true, NotifyWechatAd: true, OutsideLanguage: models.LanguageZhCN,
		CallbackID: models.Ident(key.String()), CallbackMode: models.CallbackPlain,
		CreatedAt: s.Now(), UpdatedAt: s.Now(),
	}
	for _, f := range change {
		f(a)
	}
	Write(tb, s, a.Key, func(tx *store.Tx) error { return tx.InsertAccount(a) })
	return a
}

// Advisors writes n ACTIVE advisors who accepted the service rules, with their streams and the
// openids advisor-0 to advisor-(n-1), each changed by change before it is written.
func Advisors(tb testing.TB, s *store.Store, account *models.Account, n int, change ...func(i int, a *models.Advisor)) []*models.Advisor {
	tb.Helper()
	rows := make([]*models.Advisor, n)
	for i := range rows {
		rows[i] = &models.Advisor{
			AccountID: account.Key, Key: models.NewKey(), OpenID: models.Ident(fmt.Sprintf("advisor-%d", i)),
			Nickname: fmt.Sprintf("Advisor %d", i), Stored: models.AdvisorActive, Presence: models.PresenceOnline,
			InvitedAt: s.Now(), Deadline: s.Now(), AnsweredAt: s.Now(),
			RulesVersion: account.RulesVersion, RulesAcceptedAt: s.Now(), CreatedAt: s.Now(), UpdatedAt: s.Now(),
		}
		for _, f := range change {
			f(i, rows[i])
		}
	}
	Write(tb, s, account.Key, func(tx *store.Tx) error { return tx.InsertAdvisors(rows) })
	return rows
}

// Customers writes n customers with their conversations and the openids customer-0 to
// customer-(n-1), who do not follow and are bound to nobody.
func Customers(tb testing.TB, s *store.Store, account models.Key, n int) []models.Key {
	tb.Helper()
	openids := make([]models.Ident, n)
	for i := range openids {
		openids[i] = models.Ident(fmt.Sprintf("customer-%d", i))
	}
	keys := make([]models.Key, n)
	Write(tb, s, account, func(tx *store.Tx) error {
		known, err := tx.EnsureCustomers(openids)
		for i, o := range openids {
			keys[i] = known[o]
		}
		return err
	})
	return keys
}

// Write runs a transaction of the system; the test fails when it does.
func Write(tb testing.TB, s *store.Store, account models.Key, fn func(*store.Tx) error) {
	tb.Helper()
	if err := s.Write(tb.Context(), store.System(), account, fn); err != nil {
		tb.Fatalf("write: %v", err)
	}
}
