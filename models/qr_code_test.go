package models_test

import (
	"testing"

	"clientele/limits"
	"clientele/models"
)

// Ensure every outcome of rule C2 comes when it should, for codes of advisors and of groups.
func TestScan(t *testing.T) {
	const now = models.Time(1)
	open, closed := &models.Account{Capability: models.CapabilityOpen}, &models.Account{Capability: models.CapabilityClosed}
	anna, ben := models.Key{1}, models.Key{2}
	advisor := func(key models.Key, change func(*models.Advisor)) *models.Advisor {
		a := &models.Advisor{Key: key, OpenID: models.Ident("staff-" + key.String()), UnionID: "u-anna", Stored: models.AdvisorActive}
		if change != nil {
			change(a)
		}
		return a
	}
	full := func(a *models.Advisor) { a.CustomerCount = limits.CustomersPerAdvisor }
	almost := func(a *models.Advisor) { a.CustomerCount = limits.CustomersPerAdvisor - 1 }
	removed := func(a *models.Advisor) { a.Stored = models.AdvisorRemoved }
	lapsed := func(a *models.Advisor) { a.Stored, a.Deadline = models.AdvisorPending, now }
	one := &models.QRCode{Kind: models.QRCodeAdvisor, OwnerID: anna}
	group := &models.QRCode{Kind: models.QRCodeGroup}
	member := func(k models.Key) bool { return k == anna }
	wei := models.Customer{OpenID: "wei"}
	of := func(k models.Key) models.Customer { return models.Customer{OpenID: "wei", AdvisorID: k} }

	brief, briefGroup := *one, *group
	brief.ExpiresAt, briefGroup.ExpiresAt = now, now

	for _, tt := range []struct {
		name     string
		account  *models.Account
		target   models.ScanTarget
		customer models.Customer
		want     models.ScanOutcome
	}{
		{"an advisor's", open, models.ScanTarget{Code: one, Advisor: advisor(anna, nil)}, wei, models.ScanBound},
		{"an advisor's, the last place", open, models.ScanTarget{Code: one, Advisor: advisor(anna, almost)}, wei, models.ScanBound},
		{"an advisor's, full", open, models.ScanTarget{Code: one, Advisor: advisor(anna, full)}, wei, models.ScanAdvisorFull},
		{"an advisor's, removed", open, models.ScanTarget{Code: one, Advisor: advisor(anna, removed)}, wei, models.ScanAdvisorInvalid},
		{"an advisor's, invitation lapsed", open, models.ScanTarget{Code: one, Advisor: advisor(anna, lapsed)}, wei, models.ScanAdvisorInvalid},
		{"an advisor's whose row is gone", open, models.ScanTarget{Code: one}, wei, models.ScanAdvisorInvalid},
		{"nobody's", open, models.ScanTarget{}, wei, models.ScanAdvisorInvalid},
		{"the advisor's own, by openid", open, models.ScanTarget{Code: one, Advisor: advisor(anna, func(a *models.Advisor) { a.OpenID = "wei" })}, wei, models.ScanSelf},
		{"the advisor's own, by unionid", open, models.ScanTarget{Code: one, Advisor: advisor(anna, nil)}, models.Customer{OpenID: "x", UnionID: "u-anna"}, models.ScanSelf},
		{"their advisor's again", open, models.ScanTarget{Code: one, Advisor: advisor(anna, full)}, of(anna), models.ScanAlreadyBound},
		{"another advisor's", open, models.ScanTarget{Code: one, Advisor: advisor(anna, nil)}, of(ben), models.ScanBoundToAnother},
		{
			"another advisor's, while suspended", open,
			models.ScanTarget{Code: one, Advisor: advisor(anna, nil)},
			models.Customer{OpenID: "wei", AdvisorID: ben, SuspendedAt: 1},
			models.ScanBound,
		},
		{"a group's", open, models.ScanTarget{Code: group, GroupExists: true, IsMember: member, Advisor: advisor(anna, nil)}, wei, models.ScanBound},
		{"a group's without a free member", open, models.ScanTarget{Code: group, GroupExists: true, IsMember: member}, wei, models.ScanGroupHasNoFree},
		{"a deleted group's", open, models.ScanTarget{Code: group, IsMember: member}, wei, models.ScanGroupInvalid},
		{"a group's of their advisor", open, models.ScanTarget{Code: group, GroupExists: true, IsMember: member}, of(anna), models.ScanAlreadyBound},
		{"a group's without their advisor", open, models.ScanTarget{Code: group, GroupExists: true, IsMember: member}, of(ben), models.ScanBoundToAnother},
		{"a removed advisor's who still has them", open, models.ScanTarget{Code: one, Advisor: advisor(anna, removed)}, of(anna), models.ScanAdvisorInvalid},
		{"a temporary one in its last instant", open, models.ScanTarget{Code: &brief, At: now - 1, Advisor: advisor(anna, nil)}, wei, models.ScanBound},
		{"a temporary one that expired", open, models.ScanTarget{Code: &brief, At: now, Advisor: advisor(anna, nil)}, wei, models.ScanAdvisorInvalid},
		{"a temporary one that expired, again", open, models.ScanTarget{Code: &brief, At: now, Advisor: advisor(anna, nil)}, of(anna), models.ScanAdvisorInvalid},
		{"a group's temporary one in its last instant", open, models.ScanTarget{Code: &briefGroup, At: now - 1, GroupExists: true, IsMember: member, Advisor: advisor(anna, nil)}, wei, models.ScanBound},
		{"a group's temporary one that expired", open, models.ScanTarget{Code: &briefGroup, At: now, GroupExists: true, IsMember: member, Advisor: advisor(anna, nil)}, wei, models.ScanGroupInvalid},
		{"on a closed account", closed, models.ScanTarget{Code: one, Advisor: advisor(anna, nil)}, wei, models.ScanAccountClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.target.Scan(tt.account, &tt.customer, now); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
