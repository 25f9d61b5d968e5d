// See exif.h. Bytes of an untrusted file: every read is within the span.
#include "moga/data/video/exif.h"

#include <ATen/ATen.h>

namespace moga {
namespace {

constexpr size_t kEntryBytes = 12;
constexpr uint32_t kOrientation = 0x0112, kShort = 3;

// Unsigned numbers in the file's order of bytes; 0 beyond the end.
struct Bytes {
  std::span<const uint8_t> data;
  bool little;

  uint32_t number(size_t at, size_t size) const {
    if (at + size > data.size()) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | data[little ? at + size - 1 - i : at + i];
    return value;
  }
};

}  // namespace

int exif_orientation(std::span<const uint8_t> exif) {
  if (exif.size() < 8 || exif[0] != exif[1] || (exif[0] != 'I' && exif[0] != 'M')) return 1;
  const Bytes bytes{exif, exif[0] == 'I'};
  if (bytes.number(2, 2) != 42) return 1;
  const size_t directory = bytes.number(4, 4), entries = bytes.number(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (entry + kEntryBytes > exif.size()) return 1;
    if (bytes.number(entry, 2) != kOrientation || bytes.number(entry + 2, 2) != kShort) continue;
    const uint32_t value = bytes.number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

at::Tensor upright(const at::Tensor& image, int orientation) {
  const at::Tensor stored = orientation >= 5 ? image.transpose(1, 2) : image;  // 5 to 8 store columns as rows
  switch (orientation) {
    case 2:
    case 6:
      return stored.flip({2}).contiguous();
    case 3:
    case 7:
      return stored.flip({1, 2}).contiguous();
    case 4:
    case 8:
      return stored.flip({1}).contiguous();
    default:
      return stored.contiguous();
  }
}

}  // namespace moga
