// PNG files through libpng: our own, 8-bit RGB with tags as text that is UTF-8 (iTXt), and a user's of any kind. libpng
// reports an error by a jump, so nothing with a destructor is created between setjmp and the calls that may jump.
#include <ATen/ATen.h>
#include <png.h>

#include <array>
#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/data/video/exif.h"
#include "moga/data/video/formats.h"
#include "moga/data/video/image.h"
#include "moga/data/video/picture_formats.h"

namespace moga {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

void keep_message(png_structp png, png_const_charp message) {
  std::snprintf(static_cast<char*>(png_get_error_ptr(png)), 256, "%s", message);
  png_longjmp(png, 1);
}
void drop_warning(png_structp, png_const_charp) {}

// libpng's two structures and its error text.
struct Png {
  explicit Png(bool writing)
      : write(writing),
        png(writing ? png_create_write_struct(PNG_LIBPNG_VER_STRING, message.data(), keep_message, drop_warning)
                    : png_create_read_struct(PNG_LIBPNG_VER_STRING, message.data(), keep_message, drop_warning)),
        info(png_create_info_struct(png)) {}
  ~Png() { write ? png_destroy_write_struct(&png, &info) : png_destroy_read_struct(&png, &info, nullptr); }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;

  bool write;
  std::array<char, 256> message{};
  png_structp png;
  png_infop info;
};

std::vector<png_text> texts_of(const MediaTags& tags) {
  std::vector<png_text> texts;
  for (const auto& [key, value] :
       {std::pair{"Title", &tags.title}, {"Comment", &tags.comment}, {"Software", &tags.tool}}) {
    if (value->empty()) continue;
    png_text text{};
    text.compression = PNG_ITXT_COMPRESSION_NONE;
    text.key = const_cast<char*>(key);
    text.text = const_cast<char*>(value->c_str());
    text.itxt_length = value->size();
    texts.push_back(text);
  }
  return texts;
}

bool write_png(Png& png, std::FILE* file, const at::Tensor& pixels, std::vector<png_text>& texts,
               std::vector<png_bytep>& rows) {
  if (setjmp(png_jmpbuf(png.png))) return false;
  png_init_io(png.png, file);
  png_set_compression_level(png.png, 3);
  png_set_IHDR(png.png, png.info, static_cast<png_uint_32>(pixels.size(1)), static_cast<png_uint_32>(pixels.size(0)), 8,
               PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!texts.empty()) png_set_text(png.png, png.info, texts.data(), static_cast<int>(texts.size()));
  png_set_rows(png.png, png.info, rows.data());
  png_write_png(png.png, png.info, PNG_TRANSFORM_IDENTITY, nullptr);
  return true;
}

uint32_t big_endian(const std::string& bytes, size_t at) {
  const auto byte = [&](size_t i) { return uint32_t{static_cast<unsigned char>(bytes[at + i])}; };
  return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
}

// libpng allocates what a chunk's header claims before it reads the chunk.
void check_chunks(const std::string& bytes, const std::string& source) {
  constexpr size_t kSignature = 8, kAround = 12;  // length, type and checksum of a chunk
  for (size_t at = kSignature; at + kAround <= bytes.size();) {
    const size_t length = big_endian(bytes, at);
    check(length <= bytes.size() - at - kAround, source, ": cannot read PNG: a chunk claims ", length,
          " bytes, the file has ", bytes.size(), "; is it truncated?");
    at += kAround + length;
  }
}

// Deflate makes at most 1,032 bytes of one.
void check_size(const std::string& bytes, const std::string& source, uint64_t width, uint64_t height) {
  constexpr uint64_t kMostSide = 65536, kMostRatio = 1032, kPixelsAByte = 8;
  const uint64_t most = kMostRatio * kPixelsAByte * bytes.size();
  check(width <= kMostSide && height <= kMostSide && width * height <= most, source, ": cannot read PNG: ", width, "x",
        height, " pixels are more than the file can hold");
}

// A file in memory, read from its beginning.
struct Source {
  const std::string* bytes;
  size_t next = 0;
};

void read_from_memory(png_structp png, png_bytep to, png_size_t size) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (source->bytes->size() - source->next < size) png_error(png, "the file ends too early");
  std::memcpy(to, source->bytes->data() + source->next, size);
  source->next += size;
}

bool read_header(Png& png, Source& source) {
  if (setjmp(png_jmpbuf(png.png))) return false;
  png_set_read_fn(png.png, &source, read_from_memory);
  png_read_info(png.png, png.info);
  return true;
}

// To 8-bit RGB, or RGBA where the file has transparency.
bool read_picture_header(Png& png, Source& source) {
  if (setjmp(png_jmpbuf(png.png))) return false;
  png_set_read_fn(png.png, &source, read_from_memory);
  png_read_info(png.png, png.info);
  png_set_expand(png.png);    // palettes, fewer than 8 bits, transparent colours
  png_set_strip_16(png.png);  // the upper 8 bits
  png_set_gray_to_rgb(png.png);
  png_set_interlace_handling(png.png);
  png_read_update_info(png.png, png.info);
  return true;
}

bool read_picture(Png& png, std::vector<png_bytep>& rows) {
  if (setjmp(png_jmpbuf(png.png))) return false;
  png_read_image(png.png, rows.data());
  png_read_end(png.png, png.info);
  return true;
}

int orientation_in(Png& png) {
  png_uint_32 size = 0;
  png_bytep exif = nullptr;
  return png_get_eXIf_1(png.png, png.info, &size, &exif) ? exif_orientation({exif, size}) : 1;
}

}  // namespace

StoredImage decode_png(const std::string& bytes, const std::string& source) {
  check_chunks(bytes, source);
  Png png(/*writing=*/false);
  Source memory{&bytes};
  if (!read_picture_header(png, memory)) fail(source, ": cannot read PNG: ", png.message.data());
  const int64_t width = png_get_image_width(png.png, png.info), height = png_get_image_height(png.png, png.info);
  check_size(bytes, source, width, height);
  check(is_video_side(width) && is_video_side(height), source, ": is ", width, "x", height, ", expected at most ",
        kLargestSide, " a side");
  const int64_t channels = png_get_channels(png.png, png.info);
  const at::Tensor pixels = at::empty({height, width, channels}, at::kByte);
  std::vector<png_bytep> rows;
  for (int64_t y = 0; y < height; ++y) rows.push_back(pixels.data_ptr<uint8_t>() + y * pixels.stride(0));
  const bool read = read_picture(png, rows);
  check(read, source, ": cannot read PNG: ", png.message.data());
  const bool opaque = channels == 3 || pixels.select(2, 3).eq(255).all().item<bool>();
  check(opaque, source, ": has transparent pixels, expected an opaque picture; save it on a background");
  return {pixels.narrow(2, 0, 3), orientation_in(png)};
}

void save_png(const std::filesystem::path& path, const at::Tensor& image, const MediaTags& tags) {
  check(image.dim() == 3 && image.size(0) == 3 && image.scalar_type() == at::kByte, "save_png: image is ",
        image.scalar_type(), " ", image.sizes(), ", expected uint8 [3, Y, X]");
  const at::Tensor pixels = image.cpu().permute({1, 2, 0}).contiguous();  // [Y, X, 3]
  std::vector<png_bytep> rows;
  for (int64_t y = 0; y < pixels.size(0); ++y) rows.push_back(pixels.data_ptr<uint8_t>() + y * pixels.stride(0));
  std::vector<png_text> texts = texts_of(tags);
  write_atomically(path, [&](const std::filesystem::path& temporary) {
    File file(std::fopen(temporary.c_str(), "wb"));
    check(file != nullptr, path.string(), ": cannot be written: ", std::strerror(errno));
    Png png(/*writing=*/true);
    const bool written = write_png(png, file.get(), pixels, texts, rows);
    const bool saved = written && std::fclose(file.release()) == 0;
    check(saved, path.string(), ": cannot write PNG: ", written ? std::strerror(errno) : png.message.data());
  });
}

at::Tensor load_png(const std::filesystem::path& path) {
  const std::string bytes = read_text(path, kMostPictureBytes);
  check_chunks(bytes, path.string());
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()))
    fail(path.string(), ": cannot read PNG: ", png.message);
  png.format = PNG_FORMAT_RGB;
  check_size(bytes, path.string(), png.width, png.height);
  const at::Tensor pixels = at::empty({png.height, png.width, 3}, at::kByte);
  const png_color white{255, 255, 255};
  if (!png_image_finish_read(&png, &white, pixels.data_ptr(), 0, nullptr))
    fail(path.string(), ": cannot read PNG: ", png.message);
  return pixels.permute({2, 0, 1}).contiguous();
}

ImageInfo png_info(const std::filesystem::path& path) {
  const std::string bytes = read_text(path, kMostPictureBytes);
  check_chunks(bytes, path.string());
  Png png(/*writing=*/false);
  Source memory{&bytes};
  if (!read_header(png, memory)) fail(path.string(), ": cannot read PNG: ", png.message.data());
  ImageInfo info{png_get_image_width(png.png, png.info), png_get_image_height(png.png, png.info), {}};
  png_textp texts = nullptr;
  int count = 0;
  png_get_text(png.png, png.info, &texts, &count);
  for (int i = 0; i < count; ++i)
    for (const auto& [key, value] :
         {std::pair{"Title", &info.tags.title}, {"Comment", &info.tags.comment}, {"Software", &info.tags.tool}})
      if (std::string(texts[i].key) == key) *value = texts[i].text;
  return info;
}

}  // namespace moga
