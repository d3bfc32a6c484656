package services

import (
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// inviteBatch is one call's worth of invitations in its transaction.
type inviteBatch struct {
	tx      *store.Tx
	in      []Invitation
	agents  map[models.Ident]bool
	results []AdvisorResult
	byIdent map[store.AdvisorIdent]map[models.Ident]*models.Advisor
	was     map[models.Key]any    // what the audit log tells of who is known already
	follows map[models.Ident]bool // by openid
	inCall  map[models.Key]bool   // advisors invited earlier in this call
	room    int
}

func (b *inviteBatch) write() error {
	tx := b.tx
	if _, err := tx.LockAccount(); err != nil { // rule B1 is counted under it
		return err
	}
	if err := b.load(); err != nil {
		return err
	}
	var fresh, again []*models.Advisor
	for i := range b.in {
		if b.results[i].Err != nil {
			continue
		}
		a, err := b.invite(i)
		if err != nil {
			if models.CodeOf(err) == models.CodeInternal {
				return err // not the item's fault
			}
			b.results[i].Err = err
			continue
		}
		b.results[i].Advisor = a
		if a.CreatedAt == tx.Now && a.UpdatedAt == 0 {
			a.UpdatedAt = tx.Now
			fresh = append(fresh, a)
		} else {
			again = append(again, a)
		}
	}
	return b.save(fresh, again)
}

// load locks the people who are known already, and reads who follows.
func (b *inviteBatch) load() error {
	tx := b.tx
	idents := map[store.AdvisorIdent][]models.Ident{}
	var openids []models.Ident
	for i, in := range b.in {
		if b.results[i].Err != nil {
			continue
		}
		for column, id := range in.idents() {
			idents[column] = append(idents[column], id)
		}
		if in.OpenID != "" {
			openids = append(openids, in.OpenID)
		}
	}
	found, err := tx.AdvisorsByIdents(tx.Account, idents)
	if err != nil {
		return err
	}
	keys := make([]models.Key, len(found))
	for i, a := range found {
		keys[i] = a.Key
	}
	customers, err := tx.CustomersByOpenID(tx.Account, openids)
	if err != nil {
		return err
	}
	b.follows = map[models.Ident]bool{}
	for _, c := range customers {
		b.follows[c.OpenID] = c.FollowState == models.Following
	}
	rows, err := tx.LockAdvisors(keys)
	if err != nil {
		return err
	}
	b.byIdent = map[store.AdvisorIdent]map[models.Ident]*models.Advisor{}
	b.inCall, b.was = map[models.Key]bool{}, make(map[models.Key]any, len(rows))
	for _, a := range rows {
		b.index(a)
		b.was[a.Key] = b.told(a)
	}
	n, err := tx.CountAdvisors(tx.Account, tx.Now)
	b.room = limits.AdvisorsPerAccount - n
	return err
}

func (i Invitation) idents() map[store.AdvisorIdent]models.Ident {
	all := map[store.AdvisorIdent]models.Ident{
		store.AdvisorOpenID: i.OpenID, store.AdvisorUnionID: i.UnionID,
		store.AdvisorWechatID: i.WechatID, store.AdvisorExternalID: i.ExternalID,
	}
	for k, v := range all {
		if v == "" {
			delete(all, k)
		}
	}
	return all
}

func (b *inviteBatch) index(a *models.Advisor) {
	of := Invitation{OpenID: a.OpenID, UnionID: a.UnionID, WechatID: a.WechatID, ExternalID: a.ExternalID}
	for column, id := range of.idents() {
		if b.byIdent[column] == nil {
			b.byIdent[column] = map[models.Ident]*models.Advisor{}
		}
		b.byIdent[column][id] = a
	}
}

// invite decides one item: the same person is the same advisor again (rule B3).
func (b *inviteBatch) invite(i int) (*models.Advisor, error) {
	in, now := b.in[i], b.tx.Now
	var a *models.Advisor
	for column, id := range in.idents() {
		found := b.byIdent[column][id]
		if found == nil {
			continue
		}
		if a != nil && a != found {
			return nil, models.Errorf(models.CodeConflict, "the identifiers belong to different advisors")
		}
		a = found
	}
	switch {
	case a != nil && b.inCall[a.Key]:
		return nil, models.Errorf(models.CodeDuplicate, "stands earlier in the same call")
	case a != nil && !a.MayBeInvited(now):
		return nil, models.Errorf(models.CodeAlreadyAdvisor, "is an advisor or has an open invitation")
	case b.agents[in.OpenID] || a != nil && b.agents[a.OpenID]:
		return nil, models.Errorf(models.CodeAlreadyServiceAgent, "is a customer-service agent of the account")
	case b.room <= 0:
		return nil, models.TooMany("", limits.AdvisorsPerAccount, "the account has %d advisors", limits.AdvisorsPerAccount)
	}
	if in.OpenID != "" && !b.follows[in.OpenID] { // named otherwise: checked when they answer
		return nil, models.Errorf(models.CodeMustFollowAccount, "the person must follow the account first")
	}
	if a == nil {
		a = &models.Advisor{AccountID: b.tx.Account, Key: models.NewKey(), CreatedAt: now, Presence: models.PresenceOffline}
	}
	for to, id := range map[*models.Ident]models.Ident{&a.OpenID: in.OpenID, &a.UnionID: in.UnionID, &a.WechatID: in.WechatID, &a.ExternalID: in.ExternalID} {
		if id != "" {
			*to = id
		}
	}
	a.Nickname, a.AvatarURL, a.Stored, a.Presence = in.Nickname, in.AvatarURL, models.AdvisorPending, models.PresenceOffline
	a.InvitedAt, a.Deadline, a.AnsweredAt, a.RemovedAt = now, now.Add(limits.InvitationLife), 0, 0
	b.index(a)
	b.inCall[a.Key] = true
	b.room--
	return a, nil
}

// told is what the audit log tells of an advisor who is invited.
func (b *inviteBatch) told(a *models.Advisor) map[string]any {
	return map[string]any{"state": a.StateAt(b.tx.Now), "nickname": a.Nickname, "avatarUrl": a.AvatarURL}
}

// save writes the advisors with their codes (rule C1), and notifies them (rule N1).
func (b *inviteBatch) save(fresh, again []*models.Advisor) error {
	tx := b.tx
	if err := tx.UpdateAdvisors(again, "openid", "unionid", "wechat_id", "external_id", "nickname", "avatar_url",
		"state", "presence", "invited_at", "deadline", "answered_at", "removed_at"); err != nil {
		return err
	}
	if err := tx.InsertAdvisors(fresh); err != nil {
		return err
	}
	codes := make([]*models.QRCode, len(fresh))
	for i, a := range fresh {
		codes[i] = newQRCode(tx, models.QRCodeAdvisor, a.Key, "")
	}
	if err := tx.InsertQRCodes(codes); err != nil {
		return err
	}
	var notices []*models.Notification
	var changes []store.Change
	for _, a := range append(fresh, again...) {
		tx.OpenStream(a.Key) // it is the same one, whatever became of the advisor before (rule B3)
		n := &models.Notification{
			AccountID: tx.Account, Key: models.NewKey(), AdvisorID: a.Key, Kind: models.NotifyAdvisorAdded,
			Deadline: a.Deadline, Count: 1, At: tx.Now, CreatedAt: tx.Now,
		}
		notices = append(notices, n)
		tx.Emit(models.Event{Stream: a.Key, Kind: models.EventNotificationMade, Notification: n.Key, Primed: &models.Primed{Notification: n}})
		changes = append(changes, store.Change{Action: "inviteAdvisors", TargetKind: "Advisor", Target: a.Key, Before: b.was[a.Key], After: b.told(a)})
	}
	if err := tx.InsertNotifications(notices); err != nil {
		return err
	}
	if len(changes) == 0 {
		changes = []store.Change{{Action: "inviteAdvisors", TargetKind: "Account", Target: tx.Account, After: "nobody"}}
	}
	return tx.Audit(changes...)
}
