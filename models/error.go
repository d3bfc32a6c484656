package models

import (
	"errors"
	"fmt"
)

// Code is a value of the schema's ErrorCode (rule X1). schema/parity_test.go holds the two equal.
type Code string

// The classes of rule X1, and the particular codes inside them.
const (
	CodeUnauthenticated Code = "UNAUTHENTICATED"
	CodeForbidden       Code = "FORBIDDEN"
	CodeNotFound        Code = "NOT_FOUND"
	CodeInvalid         Code = "INVALID"
	CodeConflict        Code = "CONFLICT"
	CodeLimitExceeded   Code = "LIMIT_EXCEEDED"
	CodeState           Code = "STATE"
	CodeRateLimited     Code = "RATE_LIMITED"
	CodeUnavailable     Code = "UNAVAILABLE"
	CodeInternal        Code = "INTERNAL"

	CodeCapabilityNotEnabled Code = "CAPABILITY_NOT_ENABLED"
	CodeRulesNotAccepted     Code = "RULES_NOT_ACCEPTED"
	CodeMustFollowAccount    Code = "MUST_FOLLOW_ACCOUNT"
	CodeAlreadyServiceAgent  Code = "ALREADY_SERVICE_AGENT"
	CodeAlreadyAdvisor       Code = "ALREADY_ADVISOR"
	CodeInvitationExpired    Code = "INVITATION_EXPIRED"
	CodeIdempotencyConflict  Code = "IDEMPOTENCY_CONFLICT"
	CodeDuplicate            Code = "DUPLICATE"
	CodeNotFollowing         Code = "NOT_FOLLOWING"
	CodeReplyWindowClosed    Code = "REPLY_WINDOW_CLOSED"
	CodeOutreachUnavailable  Code = "OUTREACH_UNAVAILABLE"
	CodeCursorExpired        Code = "CURSOR_EXPIRED"
	CodeNameTaken            Code = "NAME_TAKEN"
	CodeCodeLimit            Code = "CODE_LIMIT"

	CodeBoundToAnother Code = "BOUND_TO_ANOTHER_ADVISOR"
	CodeAdvisorFull    Code = "ADVISOR_FULL"
	CodeGroupHasNoFree Code = "GROUP_HAS_NO_FREE_ADVISOR"
	CodeSelf           Code = "SELF"
)

// Error is every failure that a caller may be told. Its Message is English, for developers, and
// never holds a message's text, a token, a whole openid or a credential. An error of any other
// type reaches a client only as INTERNAL with the request's id.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Field is the path of the argument at fault, e.g. "input.text"; empty when none is.
	Field string `json:"field,omitempty"`
	// Limit is the number that was exceeded; meaningful with LIMIT_EXCEEDED and CODE_LIMIT, else 0.
	Limit int `json:"limit,omitempty"`
	// RetryAt is when the same call may succeed; zero when it is not known.
	RetryAt Time `json:"retryAt,omitempty"`
}

// Error implements error.
func (e *Error) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("%s: %s (%s)", e.Code, e.Message, e.Field)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Is lets errors.Is compare by code: errors.Is(err, &Error{Code: CodeNotFound}).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Field == "" || t.Field == e.Field)
}

// Errorf makes an error with a code and a message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an INVALID error that names the field.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// NotFound makes the answer to an id that is unknown or another tenant's (rule V4): which of
// the two it is cannot be told from it.
func NotFound(noun, field string) *Error {
	return &Error{Code: CodeNotFound, Field: field, Message: noun + " not found"}
}

// TooMany makes a LIMIT_EXCEEDED error that carries the limit.
func TooMany(field string, limit int, format string, args ...any) *Error {
	return &Error{Code: CodeLimitExceeded, Field: field, Limit: limit, Message: fmt.Sprintf(format, args...)}
}

// CodeOf is the code of err: INTERNAL for any error that is not an *Error, empty for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e := asError(err); e != nil {
		return e.Code
	}
	return CodeInternal
}

// RetryAtOf is when what failed may be tried again; zero when the error does not say.
func RetryAtOf(err error) Time {
	if e := asError(err); e != nil {
		return e.RetryAt
	}
	return 0
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}
