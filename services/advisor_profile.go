package services

import (
	"context"

	"clientele/auth"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Profile is what to change of an advisor; nil fields stay as they are.
type Profile struct {
	// Advisor is whose; nil: the viewer's own.
	Advisor *AdvisorRef
	// Nickname has 1 to limits.AdvisorNicknameRunes characters; AvatarURL may be empty: none.
	Nickname, AvatarURL *string
	// AvatarImage is one of the account's images, zero: none. It takes the place of an address, as an address takes its: both is INVALID.
	AvatarImage *models.Key
}

// UpdateAdvisor changes an advisor's nickname and avatar (rule B4): ADMIN and INTEGRATION those of a
// PENDING or ACTIVE advisor, an ADVISOR their own where the account's setting allows it. Errors:
// INVALID, LIMIT_EXCEEDED, NOT_FOUND, FORBIDDEN (the setting, or another advisor's), STATE.
func (s *Services) UpdateAdvisor(ctx context.Context, in Profile) (*models.Advisor, error) {
	c, err := s.begin(ctx, mayUpdateAdvisor)
	if err != nil {
		return nil, err
	}
	if in.Nickname == nil && in.AvatarURL == nil && in.AvatarImage == nil {
		return nil, models.Invalid("input", "changes nothing")
	}
	if in.Nickname != nil {
		name, err := models.CheckName(*in.Nickname, "input.nickname", limits.AdvisorNicknameRunes)
		if err != nil {
			return nil, err
		}
		in.Nickname = &name
	}
	picture, err := pictureOf(in.AvatarURL, in.AvatarImage, "input")
	if err != nil {
		return nil, err
	}
	target, err := s.profileOf(ctx, c, in.Advisor)
	if err != nil {
		return nil, err
	}
	seen, err := s.imagesSeen(s.store.View(ctx), c, picture.images())
	if err != nil {
		return nil, err
	}
	var a *models.Advisor
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		rows, err := tx.LockAdvisors([]models.Key{target})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return models.NotFound("advisor", "input.advisor")
		}
		a = rows[0]
		if st := a.StateAt(tx.Now); st != models.AdvisorActive && st != models.AdvisorPending {
			return &models.Error{Code: models.CodeState, Field: "input.advisor", Message: "the advisor is " + string(st)}
		}
		images, err := lockImages(tx, keysIn(map[models.Key]bool{a.AvatarID: true, picture.image: true}))
		if err != nil {
			return err
		}
		if !picture.image.IsZero() && (seen[picture.image] == nil || images[picture.image] == nil) {
			return models.NotFound("image", "input.avatarImageId")
		}
		before := profileTold(a)
		uses := imageUses{}
		set(&a.Nickname, in.Nickname)
		picture.put(&a.AvatarURL, &a.AvatarID, uses)
		if err := tx.UpdateAdvisors(rows, "nickname", "avatar_url", "avatar_id"); err != nil {
			return err
		}
		if err := uses.save(tx, tx.Now); err != nil {
			return err
		}
		tx.Emit(models.Event{Stream: a.Key, Kind: models.EventAdvisorChanged})
		return tx.Audit(store.Change{
			Action: "updateAdvisor", TargetKind: "Advisor", Target: a.Key, Before: before,
			After: profileTold(a),
		})
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// profileTold is what the audit log tells of an advisor's profile.
func profileTold(a *models.Advisor) map[string]any {
	return withPicture(map[string]any{"nickname": a.Nickname, "avatarUrl": a.AvatarURL}, a.AvatarID)
}

// profileOf is whose profile the viewer may change.
func (s *Services) profileOf(ctx context.Context, c *Scope, ref *AdvisorRef) (models.Key, error) {
	if c.Viewer.Role == auth.RoleAdvisor && !c.Account.AdvisorsEditProfile {
		return models.Key{}, models.Errorf(models.CodeForbidden, "the account does not let advisors change their profiles")
	}
	if ref == nil {
		if c.Advisor == nil {
			return models.Key{}, models.Invalid("input.advisor", "is needed: the viewer is no advisor")
		}
		return c.Advisor.Key, nil
	}
	a, err := s.advisorRef(s.store.View(ctx), c, *ref, "input.advisor")
	if err != nil {
		return models.Key{}, err
	}
	if c.Advisor != nil && a.Key != c.Advisor.Key {
		return models.Key{}, models.NotFound("advisor", "input.advisor")
	}
	return a.Key, nil
}
