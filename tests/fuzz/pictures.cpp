// Pictures: the program's own PNGs, and PNG and JPEG files as the images of a script.
#include <ATen/ATen.h>

#include "moga/core/files.h"
#include "moga/data/video/image.h"
#include "moga/data/video/read_image.h"
#include "tests/fuzz/agree.h"
#include "tests/fuzz/target.h"

namespace moga::test {
namespace {

using Path = std::filesystem::path;

std::string mutate(const std::string& original, Random& random) { return mutate_bytes(original, random); }

size_t big_endian(const std::string& bytes, size_t at, size_t size) {
  size_t number = 0;
  for (size_t i = 0; i < size; ++i) number = number << 8 | static_cast<uint8_t>(bytes.at(at + i));
  return number;
}

struct Size {
  int64_t height = 0, width = 0;
};

// Of the IHDR chunk, which is the first.
Size png_size(const std::string& bytes) {
  return {static_cast<int64_t>(big_endian(bytes, 20, 4)), static_cast<int64_t>(big_endian(bytes, 16, 4))};
}

// Of the start of the frame, the first segment of type C0 to CF that holds no tables.
Size jpeg_size(const std::string& bytes) {
  size_t at = 2;
  while (true) {
    while (big_endian(bytes, at + 1, 1) == 0xFF) ++at;  // fill bytes
    const size_t type = big_endian(bytes, at + 1, 1), length = big_endian(bytes, at + 2, 2);
    if (type >= 0xC0 && type <= 0xCF && type != 0xC4 && type != 0xC8 && type != 0xCC)
      return {static_cast<int64_t>(big_endian(bytes, at + 5, 2)), static_cast<int64_t>(big_endian(bytes, at + 7, 2))};
    at += 2 + length;
  }
}

void check_size(const at::Tensor& image, const Size& size) {
  const bool turned = image.size(1) == size.width && image.size(2) == size.height;  // by its Exif orientation
  if (!turned && (image.size(1) != size.height || image.size(2) != size.width)) throw Wrong("another size");
}

void read_own_png(const Path& path, const std::string& bytes) {
  const ImageInfo info = png_info(path);
  const at::Tensor image = load_png(path);
  if (image.size(1) != info.height || image.size(2) != info.width) throw Wrong("another size");
  check_size(image, png_size(bytes));
}

void read_jpeg(const Path& path, const std::string& bytes) {
  const at::Tensor image = read_image(path);
  check_size(image, jpeg_size(bytes));
}

at::Tensor picture() { return at::arange(3 * 16 * 24).mul(7).remainder(256).to(at::kByte).view({3, 16, 24}); }

// A PNG's chunks have checksums: what is accepted has the pixels of the original.
void read_png(const Path& path, const std::string&) {
  if (!read_image(path).equal(picture())) throw Wrong("other pixels");
}

std::string own_png(const Path& folder) {
  save_png(folder / "a.png", picture(), {"title", "comment", "tool"});
  return read_text(folder / "a.png");
}

// Turned by an Exif segment with one entry, as phones write it.
std::string turned_jpeg() {
  const std::string jpeg = jpeg_bytes(picture(), 90);
  const std::string exif("Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0", 32);
  return jpeg.substr(0, 2) + std::string("\xFF\xE1\0\x22", 4) + exif + jpeg.substr(2);
}

}  // namespace

std::vector<Target> picture_targets(const Path& folder) {
  const std::string png = own_png(folder);
  return {{"pictures", "a.png", {png}, mutate, read_own_png},
          {"PNG images", "a.png", {png}, mutate, read_png},
          {"JPEG images", "a.jpg", {jpeg_bytes(picture(), 90), turned_jpeg()}, mutate, read_jpeg}};
}

}  // namespace moga::test
