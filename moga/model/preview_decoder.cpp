// See preview_decoder.h.
#include "moga/model/preview_decoder.h"

#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"

namespace moga {
namespace {

constexpr int64_t kColours = 3;
constexpr int64_t kFramesAtOnce = 16;  // float32 pictures that are in memory together
constexpr double kPeak = 2;            // from -1 to 1

std::vector<double> numbers_of(const nlohmann::json& file, const char* key, size_t count, const std::string& source) {
  const auto found = file.find(key);
  check(found != file.end() && found->is_array() && found->size() == count, source, ": ", key, " is not a list of ",
        count, " numbers");
  std::vector<double> numbers;
  for (const nlohmann::json& number : *found) {
    check(number.is_number() && std::isfinite(number.get<double>()), source, ": ", key, " holds what is not a number");
    numbers.push_back(number.get<double>());
  }
  return numbers;
}

double number_of(const nlohmann::json& file, const char* key, const std::string& source) {
  const auto found = file.find(key);
  check(found != file.end() && found->is_number(), source, ": ", key, " is not a number");
  return found->get<double>();
}

std::vector<double> list_of(const at::Tensor& tensor) {
  const at::Tensor own = tensor.to(at::kCPU, at::kDouble).contiguous();
  return {own.const_data_ptr<double>(), own.const_data_ptr<double>() + own.numel()};
}

// Means over the pixels of each latent position: [3, T, Y, X] → [3, F, Y', X'].
at::Tensor at_latents(const at::Tensor& video, at::IntArrayRef latent) {
  const int64_t frames = latent[1];
  const at::Tensor small = at::adaptive_avg_pool2d(video.transpose(0, 1), latent.slice(2)).transpose(0, 1);
  if (frames == 1) return small;
  const int64_t stride = (video.size(1) - 1) / (frames - 1);
  const at::Tensor rest = small.narrow(1, 1, small.size(1) - 1);
  const at::Tensor means = rest.reshape({kColours, frames - 1, stride, latent[2], latent[3]}).mean(2);
  return at::cat({small.narrow(1, 0, 1), means}, 1);
}

}  // namespace

at::Tensor PreviewDecoder::decode(const at::Tensor& latent, int64_t scale) const {
  const at::NoGradGuard no_grad;
  const at::Tensor filter = weight.to(latent.device()).reshape({kColours, -1, 1, 1}), shift = bias.to(latent.device());
  const std::vector<int64_t> size = {scale * latent.size(2), scale * latent.size(3)};
  std::vector<at::Tensor> pictures;
  for (const at::Tensor& some : latent.transpose(0, 1).split(kFramesAtOnce)) {  // [·, z, Y', X']
    const at::Tensor small = at::conv2d(some.to(at::kFloat), filter, shift);
    const at::Tensor large = scale == 1 ? small : at::upsample_bilinear2d(small, size, /*align_corners=*/false);
    pictures.push_back(((large + 1) * (255 / kPeak)).round().clamp(0, 255).to(at::kByte));
  }
  return at::cat(pictures);
}

PreviewDecoder load_preview_decoder(const std::filesystem::path& codec_folder, int64_t latent_channels) {
  const std::filesystem::path file = codec_folder / kPreviewFile;
  check(std::filesystem::exists(file), file.string(), ": there is none; `moga train preview ", codec_folder.string(),
        "` makes it");
  const nlohmann::json json = parse_json_object(read_text(file, kMostConfigBytes), file.string());
  const auto weight = numbers_of(json, "weight", static_cast<size_t>(kColours * latent_channels), file.string());
  const auto bias = numbers_of(json, "bias", kColours, file.string());
  return {.weight = at::tensor(weight, at::kFloat).reshape({kColours, latent_channels}),
          .bias = at::tensor(bias, at::kFloat),
          .explained = number_of(json, "explained", file.string()),
          .psnr = number_of(json, "psnr", file.string())};
}

void save_preview_decoder(const std::filesystem::path& codec_folder, const PreviewDecoder& decoder) {
  const nlohmann::ordered_json json = {{"weight", list_of(decoder.weight)},
                                       {"bias", list_of(decoder.bias)},
                                       {"explained", decoder.explained},
                                       {"psnr", decoder.psnr}};
  write_text(codec_folder / kPreviewFile, json.dump(1) + "\n");
}

PreviewFit::PreviewFit(int64_t latent_channels)
    : latents_(at::zeros({latent_channels + 1, latent_channels + 1}, at::kDouble)),
      products_(at::zeros({latent_channels + 1, kColours}, at::kDouble)),
      colours_(at::zeros({kColours}, at::kDouble)),
      squares_(at::zeros({kColours}, at::kDouble)) {}

void PreviewFit::add(const at::Tensor& latent, const at::Tensor& video) {
  const at::NoGradGuard no_grad;
  const at::Tensor colours = at_latents(video.to(at::kCPU, at::kFloat), latent.sizes()).reshape({kColours, -1}).t();
  const at::Tensor own = latent.to(at::kCPU, at::kDouble).reshape({latent.size(0), -1}).t();  // [positions, z]
  const at::Tensor rows = at::cat({own, at::ones({own.size(0), 1}, at::kDouble)}, 1);
  const at::Tensor wide = colours.to(at::kDouble);
  latents_ += rows.t().mm(rows);
  products_ += rows.t().mm(wide);
  colours_ += wide.sum(0);
  squares_ += wide.square().sum(0);
  positions_ += own.size(0);
}

PreviewDecoder PreviewFit::solve() const {
  const int64_t channels = latents_.size(0) - 1;
  check(positions_ > channels, "a preview decoder of ", channels, " channels needs more than ", positions_,
        " latent positions");
  // A little of the diagonal keeps channels that never vary from spoiling the rest.
  const at::Tensor damped = latents_ + at::diag(latents_.diagonal()) * 1e-9 + at::eye(channels + 1, at::kDouble) * 1e-9;
  const at::Tensor factor = at::linalg_cholesky(damped);
  const at::Tensor solution = at::cholesky_solve(products_, factor);  // [z+1, 3]
  const auto positions = static_cast<double>(positions_);
  // Σ (c − ĉ)² = Σ c² − 2 ĉ·c + ĉ², by the sums.
  const double errors = (squares_.sum() - 2 * (solution * products_).sum() + (solution * latents_.mm(solution)).sum())
                            .clamp_min(0)
                            .item<double>();
  const double variance = (squares_ - colours_.square() / positions).sum().item<double>();
  const double mean = errors / (kColours * positions);
  return {.weight = solution.narrow(0, 0, channels).t().contiguous().to(at::kFloat),
          .bias = solution[channels].to(at::kFloat),
          .explained = variance > 0 ? 1 - errors / variance : 0,
          .psnr = 10 * std::log10(kPeak * kPeak / std::max(mean, 1e-12))};
}

}  // namespace moga
