package services

import (
	"context"
	"time"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Settings are changes of settings; nil fields stay (rule A2). The audit log has them as they are here.
type Settings struct {
	TimeZone            *string                 `json:"timeZone,omitempty"`
	PolicyPreset        *models.PolicyPreset    `json:"policyPreset,omitempty"`
	PolicyOverrides     *models.PolicyOverrides `json:"policyOverrides,omitempty"` // replaces all of them
	OutreachCarrier     *models.OutreachCarrier `json:"outreachCarrier,omitempty"`
	AutoAssign          *bool                   `json:"isAutoAssignOn,omitempty"`
	AdGroup             *models.Key             `json:"-"` // zero clears it
	Unfollow            *models.UnfollowPolicy  `json:"onUnfollow,omitempty"`
	EraseAfterDays      *int                    `json:"eraseAfterDays,omitempty"`
	AutoAssignAfterCode *bool                   `json:"isAutoAssignAfterFailedCode,omitempty"`
	AdvisorsEditProfile *bool                   `json:"mayAdvisorsEditProfile,omitempty"`
	NicknameShown       *bool                   `json:"isNicknameShown,omitempty"`
	AnalystsReadText    *bool                   `json:"mayAnalystsReadFreeText,omitempty"`
	NotifyAdvisorQR     *bool                   `json:"notifyOnAdvisorQr,omitempty"`
	NotifyGroupQR       *bool                   `json:"notifyOnGroupQr,omitempty"`
	NotifyWechatAd      *bool                   `json:"notifyOnWechatAd,omitempty"`
	NotifyAutoAssign    *bool                   `json:"notifyOnAutoAssign,omitempty"`
	RulesVersion        *string                 `json:"serviceRulesVersion,omitempty"`
	ConversationLink    *string                 `json:"conversationLink,omitempty"`
	TaskLink            *string                 `json:"taskLink,omitempty"`
	OutsideLanguage     *models.Language        `json:"outsideLanguage,omitempty"`
	FollowReply         *string                 `json:"followReply,omitempty"` // empty clears it
	EventDays           *int                    `json:"eventRetentionDays,omitempty"`
	ReadableDays        *int                    `json:"messageReadableDays,omitempty"`
	MessageDays         *int                    `json:"messageRetentionDays,omitempty"`
	MiniPrograms        *models.Lines           `json:"linkedMiniPrograms,omitempty"` // replaces all of them
}

// write writes them to an account, and answers what stood in their places.
func (in Settings) write(a *models.Account) (was Settings) {
	// What holds where nothing stood.
	unfollow, events, readable, messages := a.OnUnfollow(), a.EventRetentionDays(), a.MessageReadableDays(), a.MessageRetentionDays()
	was = Settings{
		TimeZone:            swap(&a.TimeZone, in.TimeZone),
		PolicyPreset:        swap(&a.PolicyPreset, in.PolicyPreset),
		PolicyOverrides:     swap(&a.PolicyOverrides, in.PolicyOverrides),
		OutreachCarrier:     swap(&a.OutreachCarrier, in.OutreachCarrier),
		AutoAssign:          swap(&a.AutoAssign, in.AutoAssign),
		AdGroup:             swap(&a.AdGroup, in.AdGroup),
		Unfollow:            swap(&a.Unfollow, in.Unfollow),
		EraseAfterDays:      swap(&a.EraseDays, in.EraseAfterDays),
		AutoAssignAfterCode: swap(&a.AutoAssignAfterCode, in.AutoAssignAfterCode),
		AdvisorsEditProfile: swap(&a.AdvisorsEditProfile, in.AdvisorsEditProfile),
		NicknameShown:       swap(&a.NicknameShown, in.NicknameShown),
		AnalystsReadText:    swap(&a.AnalystsReadText, in.AnalystsReadText),
		NotifyAdvisorQR:     swap(&a.NotifyAdvisorQR, in.NotifyAdvisorQR),
		NotifyGroupQR:       swap(&a.NotifyGroupQR, in.NotifyGroupQR),
		NotifyWechatAd:      swap(&a.NotifyWechatAd, in.NotifyWechatAd),
		NotifyAutoAssign:    swap(&a.NotifyAutoAssign, in.NotifyAutoAssign),
		RulesVersion:        swap(&a.RulesVersion, in.RulesVersion),
		ConversationLink:    swap(&a.ConversationLink, in.ConversationLink),
		TaskLink:            swap(&a.TaskLink, in.TaskLink),
		OutsideLanguage:     swap(&a.OutsideLanguage, in.OutsideLanguage),
		FollowReply:         swap(&a.FollowReply, in.FollowReply),
		EventDays:           swap(&a.EventDays, in.EventDays),
		ReadableDays:        swap(&a.ReadableDays, in.ReadableDays),
		MessageDays:         swap(&a.MessageDays, in.MessageDays),
		MiniPrograms:        swap(&a.MiniPrograms, in.MiniPrograms),
	}
	if was.Unfollow != nil {
		was.Unfollow = &unfollow
	}
	set(was.EventDays, &events)
	set(was.ReadableDays, &readable)
	set(was.MessageDays, &messages)
	if was.EraseAfterDays != nil && *was.EraseAfterDays == 0 {
		*was.EraseAfterDays = limits.EraseAfterDays
	}
	return was
}

// audited is the settings as the audit log has them, with ids as the API has them.
func (in Settings) audited() any {
	told := struct {
		Settings
		AdGroupID *string `json:"advertisementGroupId,omitempty"`
	}{Settings: in}
	if in.AdGroup != nil {
		id := globalID(models.KindGroup, *in.AdGroup)
		told.AdGroupID = &id
	}
	return told
}

// settingsColumns is the columns of an account that settings are in.
var settingsColumns = []string{
	"time_zone", "policy_preset", "policy_overrides", "outreach_carrier", "auto_assign", "auto_assign_after_code",
	"advisors_edit_profile", "notify_advisor_qr", "notify_group_qr", "notify_wechat_ad", "notify_auto_assign", "rules_version", "conversation_link",
	"on_unfollow", "erase_after_days", "ad_group_id", "analysts_read_text", "nickname_shown", "task_link", "outside_language", "mini_programs",
	"event_days", "readable_days", "message_days", "follow_reply",
}

// UpdateSettings changes settings of the viewer's account, open or not.
func (s *Services) UpdateSettings(ctx context.Context, in Settings) (*models.Account, error) {
	c, err := s.begin(ctx, mayUpdateSettings)
	if err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	return s.changeAccount(ctx, c, c.Account.Key, "updateAccountSettings", func(tx *store.Tx, a *models.Account) (change accountChange, err error) {
		if in.AdGroup != nil && !in.AdGroup.IsZero() {
			groups, err := tx.Groups(a.Key, []models.Key{*in.AdGroup})
			if err == nil && len(groups) == 0 {
				err = models.NotFound("group", "input.advertisementGroupId")
			}
			if err != nil {
				return change, err
			}
		}
		was := in.write(a)
		if a.MessageRetention() < a.MessageReadable() {
			field := "input.messageRetentionDays"
			if in.MessageDays == nil {
				field = "input.messageReadableDays"
			}
			return change, models.Invalid(field, "messages are kept for %d days and could be read for %d", a.MessageRetentionDays(), a.MessageReadableDays())
		}
		return accountChange{settingsColumns, was.audited(), in.audited()}, nil
	})
}

func (in Settings) check() error {
	if in.TimeZone != nil && !models.CheckZone(*in.TimeZone) {
		return models.Invalid("input.timeZone", "is no IANA time zone")
	}
	if d := in.EraseAfterDays; d != nil && (*d < 1 || *d > limits.EraseAfterDaysMost) {
		return models.Invalid("input.eraseAfterDays", "is not from 1 to %d", limits.EraseAfterDaysMost)
	}
	for _, d := range []struct {
		days        *int
		field       string
		least, most time.Duration
	}{
		{in.EventDays, "eventRetentionDays", limits.EventRetention, limits.EventRetentionMost},
		{in.ReadableDays, "messageReadableDays", limits.MessageReadableLeast, limits.MessageRetentionMost},
		{in.MessageDays, "messageRetentionDays", limits.MessageRetentionLeast, limits.MessageRetentionMost},
	} {
		if least, most := int(d.least/(24*time.Hour)), int(d.most/(24*time.Hour)); d.days != nil && (*d.days < least || *d.days > most) {
			return models.Invalid("input."+d.field, "is not from %d to %d", least, most)
		}
	}
	if in.PolicyOverrides != nil {
		if err := in.PolicyOverrides.Check("input.policyOverrides"); err != nil {
			return err
		}
	}
	if in.RulesVersion != nil {
		if err := models.CheckIdent(*in.RulesVersion, "input.serviceRulesVersion", limits.TermsVersionBytes); err != nil {
			return err
		}
	}
	if in.FollowReply != nil && *in.FollowReply != "" {
		if err := models.CheckReply(*in.FollowReply, "input.followReply", limits.FollowReplyRunes); err != nil {
			return err
		}
	}
	if in.MiniPrograms != nil {
		if err := models.CheckMiniPrograms(*in.MiniPrograms, "input.linkedMiniPrograms"); err != nil {
			return err
		}
	}
	if l := in.ConversationLink; l != nil && *l != "" {
		if err := checkLink(*l, "input.conversationLink"); err != nil {
			return err
		}
	}
	if l := in.TaskLink; l != nil && *l != "" {
		return checkLink(*l, "input.taskLink")
	}
	return nil
}

// set writes what from has, if neither is nil.
func set[T any](to, from *T) {
	if to != nil {
		swap(to, from)
	}
}

// swap writes what from has, if it is not nil, and answers what stood there before.
func swap[T any](to, from *T) (was *T) {
	if from == nil {
		return nil
	}
	before := *to
	*to = *from
	return &before
}
