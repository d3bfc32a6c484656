package services

import (
	"context"
	"errors"
	"fmt"

	"clientele/limits"
	"clientele/models"
)

// Directory is a channel whose platform can tell who follows an account (rules E3, E11). Its errors: ErrNoSecret; a *models.Error when the
// platform refuses just this and would again; one that has ClosedUntil while the platform is not asked at all; after any other it is asked again.
type Directory interface {
	// Followers reads openids that follow after one, in the platform's order, at most limits.FollowersPage; an empty after reads the first.
	Followers(ctx context.Context, account *models.Account, after models.Ident) (FollowersPage, error)
	// FollowersInfo answers what the platform knows of at most limits.FollowersInfo followers, in any order. Of whom it does not say anything
	// nothing is known.
	FollowersInfo(ctx context.Context, account *models.Account, openids []models.Ident) ([]FollowerInfo, error)
}

// FollowersPage is a part of the list of who follows an account.
type FollowersPage struct {
	OpenIDs []models.Ident
	// Next reads the page behind this one; empty when there are no more. A page may be empty.
	Next models.Ident
	// Total is how many follow the account.
	Total int64
}

// bounded is the page without what it has beyond limits.FollowersPage, which is read behind it.
func (p FollowersPage) bounded() FollowersPage {
	if most := limits.FollowersPage; len(p.OpenIDs) > most {
		p.OpenIDs, p.Next = p.OpenIDs[:most], p.OpenIDs[most-1]
	}
	return p
}

// FollowerInfo is what the platform knows of somebody.
type FollowerInfo struct {
	OpenID models.Ident
	// UnionID is empty where the platform has none.
	UnionID models.Ident
	// Follows: they follow now. If not, all that is below is zero.
	Follows bool
	// Advertised: they came through an advertisement (rule E3).
	Advertised bool
	// FollowedAt is since when, to the second.
	FollowedAt models.Time
}

// errAway is wrapped by the error of a job that waits because the platform does not answer.
var errAway = errors.New("the platform does not answer")

// unanswered is an error of a Directory as a job has it: STATE where nobody can be asked, RetryAt until when nobody is, errAway for what may be had by asking again.
func unanswered(err error) error {
	var closed interface{ ClosedUntil() models.Time }
	var final *models.Error
	switch {
	case err == nil || errors.As(err, &final):
		return err
	case errors.Is(err, ErrNoSecret):
		return models.Errorf(models.CodeState, "the account has no app secret")
	case errors.As(err, &closed):
		return &models.Error{Code: models.CodeUnavailable, Message: err.Error(), RetryAt: closed.ClosedUntil()}
	}
	return fmt.Errorf("%w: %w", errAway, err)
}

// directory is an account's channel as a Directory; false when it is none.
func (s *Services) directory(a *models.Account) (Directory, bool) {
	d, ok := s.channels[a.Channel].(Directory)
	return d, ok
}
