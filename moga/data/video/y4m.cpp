// YUV4MPEG2 (.y4m), uncompressed video that every tool understands, read and written with ATen alone.
//
//   Y = Kr R + Kg G + Kb B,  Cb = (B - Y) / (2 - 2 Kb),  Cr = (R - Y) / (2 - 2 Kr)     (ITU-R BT.709, BT.601)
//
// Written as C420jpeg (chroma in the middle of four pixels), limited range. The format has no field for the matrix, so
// the one is written that other readers assume: BT.709 from 720 lines on, BT.601 below. Ours also says XMATRIX=…, which
// is read first. Read: 8-bit C420*, C444, limited or full range.
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/data/video/formats.h"

namespace moga {
namespace {

struct Matrix {
  double kr, kb;
  double kg() const { return 1 - kr - kb; }
};
constexpr Matrix kBt709{0.2126, 0.0722};
constexpr Matrix kBt601{0.299, 0.114};

// Offsets and extents of 8-bit codes.
struct Range {
  double black, luma, chroma;
};
constexpr Range kLimited{16, 219, 224};
constexpr Range kFull{0, 255, 255};

struct Format {
  int64_t width = 0, height = 0;
  int64_t rate = 0, scale = 1;  // fps = rate / scale
  bool subsampled = true;
  Range range = kLimited;
  Matrix matrix = kBt709;

  int64_t chroma_width() const { return subsampled ? (width + 1) / 2 : width; }
  int64_t chroma_height() const { return subsampled ? (height + 1) / 2 : height; }
  int64_t luma_bytes() const { return width * height; }
  int64_t chroma_bytes() const { return chroma_width() * chroma_height(); }
  int64_t bytes() const { return luma_bytes() + 2 * chroma_bytes(); }
};

// One frame uint8 [3, Y, X] → the planes Y, Cb, Cr as bytes.
at::Tensor to_planes(const at::Tensor& frame, const Format& format) {
  const at::Tensor rgb = frame.to(at::kFloat) / 255.0;
  const Matrix m = format.matrix;
  const at::Tensor luma = rgb[0] * m.kr + rgb[1] * m.kg() + rgb[2] * m.kb;                              // [Y, X]
  at::Tensor chroma = at::stack({(rgb[2] - luma) / (2 - 2 * m.kb), (rgb[0] - luma) / (2 - 2 * m.kr)});  // [2, Y, X]
  chroma = at::avg_pool2d(chroma, {2, 2}, {2, 2}, 0, /*ceil_mode=*/true, /*count_include_pad=*/false);
  const at::Tensor codes = at::cat(
      {(luma * format.range.luma + format.range.black).flatten(), (chroma * format.range.chroma + 128.0).flatten()});
  return codes.round().clamp(0, 255).to(at::kByte);
}

at::Tensor from_planes(const at::Tensor& bytes, const Format& format) {
  const at::Tensor codes = bytes.to(at::kFloat);
  const at::Tensor luma =
      (codes.slice(0, 0, format.luma_bytes()).view({format.height, format.width}) - format.range.black) /
      format.range.luma;
  at::Tensor chroma = codes.slice(0, format.luma_bytes()).view({1, 2, format.chroma_height(), format.chroma_width()});
  chroma = (chroma - 128.0) / format.range.chroma;
  if (format.subsampled)  // an odd width or height leaves half a chroma sample outside the picture
    chroma = at::upsample_bilinear2d(chroma, {2 * format.chroma_height(), 2 * format.chroma_width()}, false)
                 .slice(2, 0, format.height)
                 .slice(3, 0, format.width);
  const Matrix m = format.matrix;
  const at::Tensor blue = luma + chroma[0][0] * (2 - 2 * m.kb);
  const at::Tensor red = luma + chroma[0][1] * (2 - 2 * m.kr);
  const at::Tensor green = (luma - m.kr * red - m.kb * blue) / m.kg();
  return (at::stack({red, green, blue}) * 255.0).round().clamp(0, 255).to(at::kByte);
}

class Y4mWriter : public VideoWriter {
 public:
  Y4mWriter(const std::filesystem::path& path, int64_t width, int64_t height, double fps)
      : file_(path), out_(file_.temporary(), std::ios::binary) {
    check(out_.good(), path.string(), ": cannot be written: ", std::strerror(errno));
    format_.width = width;
    format_.height = height;
    format_.matrix = is_bt709_by_height(height) ? kBt709 : kBt601;
    const bool whole = fps == std::floor(fps);
    format_.scale = whole ? 1 : 1001;
    format_.rate = std::llround(fps * static_cast<double>(format_.scale));
    out_ << "YUV4MPEG2 W" << width << " H" << height << " F" << format_.rate << ":" << format_.scale
         << " Ip A1:1 C420jpeg XCOLORRANGE=LIMITED XMATRIX=" << (is_bt709_by_height(height) ? "BT709" : "BT601")
         << "\n";
  }

  void write(const at::Tensor& frames) override {
    const at::Tensor batch = checked_frames(frames, format_.width, format_.height, file_.path());
    for (int64_t i = 0; i < batch.size(0); ++i) {
      const at::Tensor planes = to_planes(batch[i], format_);
      out_ << "FRAME\n";
      out_.write(static_cast<const char*>(planes.data_ptr()), planes.numel());
    }
    check(out_.good(), file_.path().string(), ": writing failed; is the disk full?");
  }

  void finish() override {
    out_.close();
    check(out_.good(), file_.path().string(), ": writing failed; is the disk full?");
    file_.commit();
  }

 private:
  PendingFile file_;
  std::ofstream out_;
  Format format_;
};

void read_colour_space(std::string_view name, Format& format, const std::string& source) {
  constexpr std::array kSubsampled = {"420", "420jpeg", "420mpeg2", "420paldv"};
  format.subsampled = std::ranges::count(kSubsampled, name) > 0;
  check(format.subsampled || name == "444", source, ": y4m colour space C", printable(name),
        ", expected 8-bit C420jpeg, C420mpeg2, C420paldv or C444");
}

int64_t whole_number(std::string_view text, const std::string& field, const std::string& source) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  check(error == std::errc() && end == text.data() + text.size(), source, ": y4m field ", printable(field),
        ": expected a whole number, found '", printable(text), "'");
  return number;
}

// X fields are comments, except those of FFmpeg (the range) and ours (the matrix).
void read_comment(const std::string& field, Format& format, std::optional<Matrix>& matrix, const std::string& source) {
  if (field == "XCOLORRANGE=FULL")
    format.range = kFull;
  else if (field == "XMATRIX=BT709")
    matrix = kBt709;
  else if (field == "XMATRIX=BT601")
    matrix = kBt601;
  else
    check(field == "XCOLORRANGE=LIMITED" || !(field.starts_with("XCOLORRANGE=") || field.starts_with("XMATRIX=")),
          source, ": y4m field ", printable(field), ": expected XCOLORRANGE=FULL or LIMITED, XMATRIX=BT709 or BT601");
}

void read_field(const std::string& field, Format& format, std::optional<Matrix>& matrix, const std::string& source) {
  const std::string_view value = std::string_view(field).substr(1);
  const size_t colon = value.find(':');
  switch (field[0]) {
    case 'W':
      format.width = whole_number(value, field, source);
      break;
    case 'H':
      format.height = whole_number(value, field, source);
      break;
    case 'F':
      check(colon != value.npos, source, ": y4m field ", printable(field), ": expected a rate like F25:1");
      format.rate = whole_number(value.substr(0, colon), field, source);
      format.scale = whole_number(value.substr(colon + 1), field, source);
      break;
    case 'C':
      read_colour_space(value, format, source);
      break;
    case 'X':
      read_comment(field, format, matrix, source);
      break;
    default:  // interlacing and pixel aspect do not change the stored pixels
      check(field[0] == 'I' || field[0] == 'A', source, ": y4m field ", printable(field), " is unknown");
  }
}

Format read_header(std::istream& in, const std::string& source) {
  std::string line, field, seen;
  std::getline(in, line);
  check(in.good() && line.starts_with("YUV4MPEG2 "), source, ": not a y4m file: it does not begin with YUV4MPEG2");
  Format format;
  std::optional<Matrix> matrix;
  std::istringstream fields(line.substr(10));
  while (fields >> field) {
    check(field[0] == 'X' || seen.find(field[0]) == seen.npos, source, ": the y4m header has the field ",
          printable(field.substr(0, 1)), " twice");
    seen += field[0];
    read_field(field, format, matrix, source);
  }
  check(is_video_side(format.width) && is_video_side(format.height) && format.rate > 0 && format.scale > 0, source,
        ": the y4m header needs width and height from 1 to ", kLargestSide,
        " and a frame rate: ", printable(line.substr(0, 80)));
  format.matrix = matrix.value_or(is_bt709_by_height(format.height) ? kBt709 : kBt601);
  return format;
}

class Y4mReader : public VideoReader {
 public:
  explicit Y4mReader(const std::filesystem::path& path)
      : source_(path.string()), in_(path, std::ios::binary), format_(read_header(in_, source_)) {
    const auto payload = static_cast<int64_t>(std::filesystem::file_size(path)) - static_cast<int64_t>(in_.tellg());
    info_ = {format_.width, format_.height, static_cast<double>(format_.rate) / static_cast<double>(format_.scale),
             payload / (format_.bytes() + 6)};  // "FRAME\n"
  }

  VideoInfo info() const override { return info_; }

  at::Tensor read(int64_t count) override {
    std::vector<at::Tensor> frames;
    std::string line;
    while (static_cast<int64_t>(frames.size()) < count && std::getline(in_, line)) {
      check(line == "FRAME" || line.starts_with("FRAME "), source_, ": frame ", next_, " does not begin with FRAME");
      const at::Tensor bytes = at::empty({format_.bytes()}, at::kByte);
      in_.read(static_cast<char*>(bytes.data_ptr()), format_.bytes());
      check(in_.gcount() == format_.bytes(), source_, ": truncated: frame ", next_, " has ", in_.gcount(), " of ",
            format_.bytes(), " bytes");
      frames.push_back(from_planes(bytes, format_));
      ++next_;
    }
    return frames.empty() ? at::empty({0, 3, format_.height, format_.width}, at::kByte) : at::stack(frames);
  }

 private:
  std::string source_;
  std::ifstream in_;
  Format format_;
  VideoInfo info_;
  int64_t next_ = 0;
};

}  // namespace

std::unique_ptr<VideoWriter> make_y4m_writer(const std::filesystem::path& path, int64_t width, int64_t height,
                                             double fps) {
  return std::make_unique<Y4mWriter>(path, width, height, fps);
}

std::unique_ptr<VideoReader> open_y4m(const std::filesystem::path& path) { return std::make_unique<Y4mReader>(path); }

}  // namespace moga
