// See read_image.h.
#include "moga/data/video/read_image.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/data/video/exif.h"
#include "moga/data/video/picture_formats.h"

namespace moga {
namespace {

// Formats by their first bytes; a name's ending may say something else.
bool is_jpeg(const std::string& bytes) { return bytes.starts_with("\xFF\xD8\xFF"); }
bool is_png(const std::string& bytes) { return bytes.starts_with("\x89PNG\r\n\x1A\n"); }

std::string kind_of(const std::string& bytes) {
  if (bytes.empty()) return "is empty";
  if (bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WEBP") return "is a WebP picture";
  if (bytes.starts_with("GIF8")) return "is a GIF";
  if (bytes.starts_with("BM")) return "is a BMP picture";
  if (bytes.starts_with("II*") || bytes.starts_with("MM")) return "is a TIFF picture";
  if (bytes.substr(4, 4) == "ftyp") return "is a HEIC or AVIF picture or a video";
  if (bytes.starts_with("\xFF\x0A") || bytes.substr(4, 4) == "JXL ") return "is a JPEG XL picture";
  if (bytes.substr(4, 4) == "jP  ") return "is a JPEG 2000 picture";
  return "is no picture";
}

}  // namespace

at::Tensor read_image(const std::filesystem::path& path) {
  const std::string bytes = read_text(path, kMostPictureBytes), source = path.string();
  check(is_jpeg(bytes) || is_png(bytes), source, ": ", bytes.size() < 12 ? "is no picture" : kind_of(bytes),
        ", expected PNG or JPEG");
  const StoredImage image = is_jpeg(bytes) ? decode_jpeg(bytes, source) : decode_png(bytes, source);
  return upright(image.pixels.permute({2, 0, 1}), image.orientation);
}

}  // namespace moga
