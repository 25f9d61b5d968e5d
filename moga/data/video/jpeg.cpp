// JPEG through libjpeg, which reports an error by calling a function that must not return: it jumps, so nothing with a
// destructor is created between setjmp and the calls that may jump.
#include <ATen/ATen.h>

#include <csetjmp>
#include <cstdio>
#include <vector>

#include <jpeglib.h>

#include "moga/core/check.h"
#include "moga/data/video/exif.h"
#include "moga/data/video/formats.h"
#include "moga/data/video/picture_formats.h"

namespace moga {
namespace {

constexpr int kApp1 = JPEG_APP0 + 1;
constexpr unsigned kMostMarkerBytes = 0xFFFF;

struct Failure {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

void keep_jpeg_message(j_common_ptr jpeg) {
  auto* failure = reinterpret_cast<Failure*>(jpeg->err);
  jpeg->err->format_message(jpeg, failure->message);
  std::longjmp(failure->jump, 1);
}
// Counted, not printed: a warning (level -1) is data that libjpeg made up.
void count_jpeg_warning(j_common_ptr jpeg, int level) {
  if (level < 0) ++jpeg->err->num_warnings;
}

struct Jpeg {
  Jpeg() {
    jpeg.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = keep_jpeg_message;
    failure.manager.emit_message = count_jpeg_warning;
    failure.message[0] = 0;
    jpeg_create_decompress(&jpeg);
  }
  ~Jpeg() { jpeg_destroy_decompress(&jpeg); }
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;

  jpeg_decompress_struct jpeg{};
  Failure failure{};
};

bool read_jpeg_header(Jpeg& own, const std::string& bytes) {
  if (setjmp(own.failure.jump)) return false;
  jpeg_mem_src(&own.jpeg, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&own.jpeg, kApp1, kMostMarkerBytes);
  jpeg_read_header(&own.jpeg, TRUE);
  return true;
}

bool read_jpeg_pixels(Jpeg& own, uint8_t* pixels) {
  if (setjmp(own.failure.jump)) return false;
  own.jpeg.out_color_space = JCS_RGB;
  jpeg_start_decompress(&own.jpeg);
  while (own.jpeg.output_scanline < own.jpeg.output_height) {
    JSAMPROW row = pixels + static_cast<size_t>(own.jpeg.output_scanline) * own.jpeg.output_width * 3;
    jpeg_read_scanlines(&own.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&own.jpeg);
  return true;
}

int orientation_of(const jpeg_decompress_struct& jpeg) {
  constexpr size_t kHeader = 6;  // "Exif", 0, 0
  for (const jpeg_marker_struct* marker = jpeg.marker_list; marker; marker = marker->next)
    if (marker->marker == kApp1 && marker->data_length > kHeader &&
        std::string(reinterpret_cast<const char*>(marker->data), 4) == "Exif")
      return exif_orientation({marker->data + kHeader, marker->data_length - kHeader});
  return 1;
}

}  // namespace

StoredImage decode_jpeg(const std::string& bytes, const std::string& source) {
  Jpeg own;
  if (!read_jpeg_header(own, bytes)) fail(source, ": cannot read JPEG: ", own.failure.message);
  const auto& jpeg = own.jpeg;
  check(jpeg.jpeg_color_space != JCS_CMYK && jpeg.jpeg_color_space != JCS_YCCK, source,
        ": a JPEG in CMYK colours, expected RGB; save it as RGB");
  check(jpeg.image_width <= kLargestSide && jpeg.image_height <= kLargestSide, source, ": is ", jpeg.image_width, "x",
        jpeg.image_height, ", expected at most ", kLargestSide, " a side");
  StoredImage image{at::empty({jpeg.image_height, jpeg.image_width, 3}, at::kByte), orientation_of(jpeg)};
  const bool read = read_jpeg_pixels(own, image.pixels.data_ptr<uint8_t>());
  check(read, source, ": cannot read JPEG: ", own.failure.message);
  check(jpeg.err->num_warnings == 0, source, ": a damaged JPEG, its data end too early or are corrupt");
  return image;
}

}  // namespace moga
