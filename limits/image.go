package limits

import "time"

// Images.
const (
	// ImageBytes is the largest image, in bytes. Enforced by services.UploadImages. Source: rule H6.
	ImageBytes = 10 << 20
	// ImagePixels is the most pixels of an image, its width times its height, read before any pixel. Source: rule H6.
	ImagePixels = 50_000_000
	// ImageFramePixels is the most pixels of all frames of a GIF together: so much is unpacked to see whether it is whole.
	ImageFramePixels = 100_000_000
	// ImageFrames is the most frames of a GIF.
	ImageFrames = 10_000
	// ImageDecodeBytes is the most memory, in bytes, that the pixels of one image take: a JPEG that needs more is looked over without being
	// unpacked, and no image that needs more is put into a code.
	ImageDecodeBytes = 160 << 20
	// ImagesDecodedAtOnce is how many images a node looks over, or unpacks for codes, at the same time; one of them for an account.
	ImagesDecodedAtOnce = 2
	// ImagesPerCall is the most files one uploadImages call takes, and one request. Source: rule H6.
	ImagesPerCall = 10
	// ImagesPerAccount is the most images that an account keeps, ImageMiBPerAccount how many MiB they are together. Enforced under the account's
	// row lock.
	ImagesPerAccount   = 200_000
	ImageMiBPerAccount = 51_200
	// ImagesPerAdvisorDay is the most images that an advisor uploads in any ImageDay, so that one cannot fill the account's room. Enforced under the account's row lock.
	// Source: rule H6.
	ImagesPerAdvisorDay = 1_000
	// ImageDay is the time that ImagesPerAdvisorDay is of.
	ImageDay = 24 * time.Hour
	// ImageKept is for how long an image that nothing uses is kept after it was uploaded or last used; and for how long an upload may take before what
	// it left is deleted.
	ImageKept = 24 * time.Hour
	// ImageFileRetry is when a file is tried again that object storage did not delete.
	ImageFileRetry = 10 * time.Minute
	// ImageURLLife is how long the address of an image is good. Source: rule H6.
	ImageURLLife = 15 * time.Minute
	// URLSecretBytes is how many random bytes the secret is of that an account's addresses are signed with. Source: rule A4.
	URLSecretBytes = 32
	// UploadBytes is the largest body of multipart/form-data, in bytes: it is held in memory. Source: ADR 0042.
	UploadBytes = 24 << 20
	// UploadTime is how long a client may take to send such a body, and to take an image.
	UploadTime = time.Minute
	// UploadSecondBytes is how many bytes a second such a body must come with, on average since it is read, and UploadGrace how much later than that it
	// may be: one that is slower is cut. Source: ADR 0042.
	UploadSecondBytes = 8 << 10
	UploadGrace       = 5 * time.Second
	// UploadsAtOnce is how many such bodies a node holds at the same time, UploadsPerAccount how many of one account, UploadsPerToken how many of one
	// token. Source: ADR 0042.
	UploadsAtOnce     = 8
	UploadsPerAccount = 3
	UploadsPerToken   = 2
	// UploadsWaiting is how many requests may wait for each of these places, as long as an operation may take; who comes then is refused at once. UploadRetry is
	// when who found no place is told to come again. Source: ADR 0042.
	UploadsWaiting = 2
	UploadRetry    = 5 * time.Second
	// UploadOperations is the most operations of one multipart request, each of which is charged and limited as if it came alone; they have the time of
	// one together. Source: ADR 0042.
	UploadOperations = 10
	// UploadCharge is what each file in the arguments of an operation is charged with, besides the operation itself. Source: rule X2.
	UploadCharge = 5
)
