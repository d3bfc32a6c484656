package models

// Role is the role of a token, as the API shows it; auth.Role holds the same values.
type Role string

// The roles (rule V2).
const (
	RoleAdmin       Role = "ADMIN"
	RoleIntegration Role = "INTEGRATION"
	RoleAnalyst     Role = "ANALYST"
	RolePlatform    Role = "PLATFORM"
	RoleAdvisor     Role = "ADVISOR"
)

// Viewer is who asks, as the API shows them.
type Viewer struct {
	Role           Role
	Account        *Account
	Advisor        *Advisor
	TokenExpiresAt Time
}
