package limits

import "time"

// Customers and bindings.
const (
	// CustomersPerAdvisor is the most customers bound to one advisor at a time. Enforced by
	// the CHECK constraint on advisor.customer_count, under the advisor's row lock.
	// Source: rule E1.
	CustomersPerAdvisor = 15_000
	// DedupKeyBytes is the longest key that tells a repeated callback, in bytes. Column
	// inbound.dedup_key.
	DedupKeyBytes = 191
	// EventNameBytes is the longest name of a channel's event that is kept, in bytes. Column
	// inbound.name.
	EventNameBytes = 64
	// OpenIDBytes is the longest openid or unionid, in bytes. Columns VARBINARY(64).
	OpenIDBytes = 64
	// SceneBytes is the longest scene key of a QR code, in bytes: what WeChat's
	// QR_LIMIT_STR_SCENE carries. Column qr_code.scene. Source: rule C3.
	SceneBytes = 64
	// CodeBatch is the most codes that one createQRCodes call makes.
	CodeBatch = 200
	// CodeLabelRunes is the longest label of a code, in runes, at least 1. Source: rule C3.
	CodeLabelRunes = 64
	// LabelledCodes is the most permanent codes with a label that an account ever makes: the platform
	// has 100,000 permanent ones an account, takes none back, and AdvisorsPerAccount and GroupsPerAccount
	// are to get theirs. Enforced in the transaction under the account's row lock. Source: rule C3.
	LabelledCodes = 99_000
	// CodeLifeMin is the shortest life of a temporary code.
	CodeLifeMin = time.Minute
	// CodeLifeMax is the longest life of a temporary code. Source: rule C3.
	CodeLifeMax = 30 * 24 * time.Hour
	// CodeURLBytes is the longest text of a code that a platform answers, in bytes.
	CodeURLBytes = 512
	// CodesTold is the most codes of which a platform is told before what it answered is recorded. Source: rule C1.
	CodesTold = 64
	// CodesAtOnce is of how many of them it is told at the same time. Source: rule C1.
	CodesAtOnce = 8
	// CodeRetry is when a platform is told again of a code that it refused.
	CodeRetry = 24 * time.Hour
	// CodeKept is how long a temporary code is kept after it expired, so that a late scan of it still
	// tells its label.
	CodeKept = 30 * 24 * time.Hour
	// CodePictureMin and CodePictureMax are the smallest and the largest width of the picture of a code, in
	// pixels: room for 4 pixels a module, and what prints 10 cm at 300 dots an inch. Source: rule C4.
	CodePictureMin = 200
	CodePictureMax = 1_280
	// CodePicture is its width when none is given, the platform's own.
	CodePicture = 430
	// CodeAvatarBytes is the largest picture that is put into the middle of a code, in bytes, before base64.
	// Source: rule C4.
	CodeAvatarBytes = 256 << 10
	// CodeAvatarPixels is the most pixels of it: what is packed well is not unpacked into much more.
	CodeAvatarPixels = 1 << 20
	// CodeAvatarSide is the width and height in pixels to which an advisor's image is scaled when it goes into codes, CodeAvatarsKept of how many a
	// node keeps what came of it: 360 KB each.
	CodeAvatarSide  = 300
	CodeAvatarsKept = 64
	// CodePicturesAtOnce is how many pictures of codes a node draws at the same time; each may take 20 MB.
	CodePicturesAtOnce = 2
	// CustomerNicknameRunes is the longest nickname of a customer, in runes. Source: rule E8.
	CustomerNicknameRunes = 64
	// NewCustomers is how many customers the list of the newest holds. Source: rule E10.
	NewCustomers = 200
	// BindBatch is the most customers that one call assigns, rebinds or unbinds, and one
	// transaction of a job that does. Source: rule E5.
	BindBatch = 500
)
