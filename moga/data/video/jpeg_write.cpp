// JPEG in memory through libjpeg, for pictures inside a page. As in jpeg.cpp, an error jumps, so nothing with a
// destructor is created between setjmp and the calls that may jump.
#include <ATen/ATen.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <jpeglib.h>

#include "moga/core/check.h"
#include "moga/data/video/image.h"

namespace moga {
namespace {

struct WriteFailure {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

void keep_write_message(j_common_ptr jpeg) {
  auto* failure = reinterpret_cast<WriteFailure*>(jpeg->err);
  jpeg->err->format_message(jpeg, failure->message);
  std::longjmp(failure->jump, 1);
}

struct JpegWriter {
  JpegWriter() {
    jpeg.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = keep_write_message;
    failure.message[0] = 0;
    jpeg_create_compress(&jpeg);
  }
  ~JpegWriter() {
    jpeg_destroy_compress(&jpeg);
    std::free(bytes);
  }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;

  jpeg_compress_struct jpeg{};
  WriteFailure failure{};
  unsigned char* bytes = nullptr;  // allocated by libjpeg
  unsigned long size = 0;
};

// Chroma is not subsampled: edges between colours of clothes stay where they are.
bool write_rows(JpegWriter& own, std::vector<JSAMPROW>& rows, int64_t width, int quality) {
  if (setjmp(own.failure.jump)) return false;
  jpeg_mem_dest(&own.jpeg, &own.bytes, &own.size);
  own.jpeg.image_width = static_cast<JDIMENSION>(width);
  own.jpeg.image_height = static_cast<JDIMENSION>(rows.size());
  own.jpeg.input_components = 3;
  own.jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&own.jpeg);
  jpeg_set_quality(&own.jpeg, quality, TRUE);
  own.jpeg.comp_info[0].h_samp_factor = own.jpeg.comp_info[0].v_samp_factor = 1;
  jpeg_start_compress(&own.jpeg, TRUE);
  jpeg_write_scanlines(&own.jpeg, rows.data(), static_cast<JDIMENSION>(rows.size()));
  jpeg_finish_compress(&own.jpeg);
  return true;
}

}  // namespace

std::string jpeg_bytes(const at::Tensor& image, int quality) {
  check(image.dim() == 3 && image.size(0) == 3 && image.scalar_type() == at::kByte, "JPEG: image is ",
        image.scalar_type(), " ", image.sizes(), ", expected uint8 [3, Y, X]");
  check(quality >= 1 && quality <= 100, "JPEG: quality is ", quality, ", expected 1 to 100");
  const at::Tensor pixels = image.permute({1, 2, 0}).cpu().contiguous();  // [Y, X, 3]
  std::vector<JSAMPROW> rows;
  for (int64_t y = 0; y < pixels.size(0); ++y) rows.push_back(pixels.data_ptr<uint8_t>() + y * pixels.size(1) * 3);
  JpegWriter writer;
  if (!write_rows(writer, rows, pixels.size(1), quality)) fail("JPEG: cannot be written: ", writer.failure.message);
  return {reinterpret_cast<const char*>(writer.bytes), writer.size};
}

}  // namespace moga
