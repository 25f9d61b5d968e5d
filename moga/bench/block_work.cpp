// See block_work.h. A family is one line in the table below.
#include "moga/bench/block_work.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "moga/bench/wan_block.h"
#include "moga/core/check.h"

namespace moga {
namespace {

struct Family {
  std::string_view class_name;
  std::unique_ptr<BlockWork> (*make)(const VideoModelConfig& model, const VideoShape& video, c10::Device device,
                                     c10::ScalarType dtype);
};
constexpr std::array kFamilies = {Family{"WanTransformer3DModel", make_wan_block_work}};

}  // namespace

std::unique_ptr<BlockWork> make_block_work(const VideoModelConfig& model, const VideoShape& video, c10::Device device,
                                           c10::ScalarType dtype) {
  const auto family = std::ranges::find(kFamilies, std::string_view(model.class_name()), &Family::class_name);
  check(family != kFamilies.end(), "bench block has no block of ", model.class_name(), ", expected ",
        kFamilies.front().class_name);
  return family->make(model, video, device, dtype);
}

}  // namespace moga
