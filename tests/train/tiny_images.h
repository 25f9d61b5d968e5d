// Image-to-video runs small enough for a test: videos of tiny_run.h's shapes with images of their shots, and a model
// for each way to be given them.
#pragma once

#include "moga/core/choice.h"
#include "tests/train/tiny_run.h"

namespace moga {

enum class ImageStyle { kCondition, kEmbedded, kGiven };
template <>
inline constexpr auto kChoices<ImageStyle> = std::array{
    Choice{ImageStyle::kCondition, "condition", "Wan2.2-I2V: first frames of both shots, some last ones"},
    Choice{ImageStyle::kEmbedded, "embedded", "Wan2.1-I2V: first frames of first shots, with embeddings of 3 tokens"},
    Choice{ImageStyle::kGiven, "given",
           "Wan2.2-TI2V-5B: first frames of both shots in their frames' place; one without"},
};

}  // namespace moga

namespace moga::test {

inline constexpr int64_t kImageWidth = 6;  // of embeddings of images

// A folder with `shards` of ten videos of two shots, `spiece.model` and, of the style that needs it, a model to start
// from, `init`. Written once a test program.
const Folder& tiny_image_data(ImageStyle style);

// A run of tiny_config() with a model of this style, on the folder that tiny_image_data() wrote.
TrainConfig tiny_image_config(ImageStyle style, const std::filesystem::path& data, const std::filesystem::path& out);
TrainConfig tiny_image_config(ImageStyle style, const std::filesystem::path& out);

}  // namespace moga::test
