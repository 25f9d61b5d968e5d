// See image_processor.h.
#include "moga/model/image/image_processor.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/foreign_keys.h"
#include "moga/core/json_text.h"
#include "moga/model/image/resample.h"

namespace moga {
namespace {

constexpr int64_t kMostPixels = 4096;  // far beyond any encoder's

// Of transformers' CLIPImageProcessor: the steps that are always taken, and the form of inputs and results.
constexpr std::array kProcessorKeys = {
    ForeignKey{"do_resize", "true"},
    ForeignKey{"do_center_crop", "true"},
    ForeignKey{"do_rescale", "true"},
    ForeignKey{"do_normalize", "true"},
    ForeignKey{"do_convert_rgb"},
    ForeignKey{"do_pad", "false"},
    ForeignKey{"default_to_square", "false"},
    ForeignKey{"resample", "3", "another filter than bicubic"},
    ForeignKey{"rescale_factor", "0.00392156862745098"},
    ForeignKey{"data_format"},
    ForeignKey{"device"},
    ForeignKey{"disable_grouping"},
    ForeignKey{"feature_extractor_type"},
    ForeignKey{"image_processor_type"},
    ForeignKey{"image_seq_length"},
    ForeignKey{"input_data_format"},
    ForeignKey{"pad_size"},
    ForeignKey{"processor_class"},
    ForeignKey{"return_tensors"},
};

// 224, {"shortest_edge": 224} or {"height": 224, "width": 224}.
int64_t side_of(nlohmann::json& config, const char* key, const char* member, int64_t otherwise,
                const std::string& source) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return otherwise;
  const nlohmann::json value = found->is_object() ? found->value(member, nlohmann::json()) : *found;
  check(value.is_number_integer() && value >= 1 && value <= kMostPixels, source, ": ", key, " = ",
        printable(found->dump()), ", expected {\"", member, "\": N}, N from 1 to ", kMostPixels);
  if (found->is_object() && found->contains("width"))
    check((*found)["width"] == value, source, ": ", key, " = ", printable(found->dump()), ", expected a square");
  config.erase(found);
  return value;
}

struct Statistics {
  std::vector<double> image_mean = ImageProcessorConfig().image_mean, image_std = ImageProcessorConfig().image_std;

  void validate() const {
    check(image_mean.size() == 3 && image_std.size() == 3, "image_mean and image_std have ", image_mean.size(), " and ",
          image_std.size(), " numbers, expected 3");
    for (const double deviation : image_std) check(deviation > 0, "image_std has ", deviation, ", expected > 0");
  }
  template <class Fields>
  void fields(Fields& field) {
    field("image_mean", image_mean, "mean of each channel");
    field("image_std", image_std, "deviation of each channel");
  }
};

at::Tensor per_channel(const std::vector<double>& values) { return at::tensor(values, at::kFloat).view({3, 1, 1}); }

// The middle of the image, with zeros around one that is too small.
at::Tensor centre(const at::Tensor& image, int64_t side) {
  const int64_t height = image.size(1), width = image.size(2);
  const int64_t top = (height - side) / 2, left = (width - side) / 2;
  if (height >= side && width >= side) return image.narrow(1, top, side).narrow(2, left, side);
  const int64_t above = (std::max(height, side) - height + 1) / 2, before = (std::max(width, side) - width + 1) / 2;
  const at::Tensor canvas = at::zeros({3, std::max(height, side), std::max(width, side)}, image.options());
  canvas.narrow(1, above, height).narrow(2, before, width).copy_(image);
  return centre(canvas, side);
}

}  // namespace

ImageProcessorConfig load_image_processor_config(const std::filesystem::path& path) {
  const std::string source = path.string();
  check(std::filesystem::exists(path), source, ": no such file, expected how images are prepared for image_encoder");
  nlohmann::json file = parse_json_object(read_text(path, kMostConfigBytes), source);
  ImageProcessorConfig config;
  const bool square = file.contains("size") && file["size"].is_object() && !file["size"].contains("shortest_edge");
  check(!square, source, ": size = ", square ? printable(file["size"].dump()) : "",
        ", expected {\"shortest_edge\": N}: proportions are kept");
  config.short_side = side_of(file, "size", "shortest_edge", config.short_side, source);
  config.crop = side_of(file, "crop_size", "height", config.crop, source);
  erase_foreign_keys(file, kProcessorKeys, source);
  const Statistics statistics = parse_json<Statistics>(file.dump(2), source);
  config.image_mean = statistics.image_mean;
  config.image_std = statistics.image_std;
  return config;
}

at::Tensor processed(const at::Tensor& image, const ImageProcessorConfig& config) {
  check(image.dim() == 3 && image.size(0) == 3 && image.scalar_type() == at::kByte && image.numel() > 0,
        "image encoder: image is ", image.scalar_type(), " ", image.sizes(), ", expected uint8 [3, Y, X]");
  const int64_t height = image.size(1), width = image.size(2), least = std::min(height, width);
  const at::Tensor resized = resample(image, std::max<int64_t>(1, config.short_side * height / least),
                                      std::max<int64_t>(1, config.short_side * width / least), Filter::kBicubic);
  const at::Tensor values = centre(resized, config.crop).to(at::kDouble).mul(1.0 / 255.0).to(at::kFloat);
  return (values - per_channel(config.image_mean)) / per_channel(config.image_std);
}

}  // namespace moga
