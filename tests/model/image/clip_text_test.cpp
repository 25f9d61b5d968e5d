// CLIP's text features equal those of transformers (tools/make_fixtures_films.py).
#include "moga/model/image/clip_text.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moga/core/safetensors.h"
#include "moga/model/image/clip_tokenizer.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

const std::filesystem::path kTextFilms = MOGA_FILM_FIXTURES;
const std::filesystem::path kTextModel = kTextFilms / "models/clip-vit-base-patch32";

// The first three captions are short; the fourth is longer than CLIP reads.
TEST(ClipText, EqualsTransformers) {
  const at::NoGradGuard no_grad;
  const Safetensors file(kTextFilms / "films.safetensors");
  const auto numbers = nlohmann::json::parse(file.metadata().at("numbers"));
  ClipText model = load_clip_text(kTextModel, at::kCPU);
  const ClipTokenizer tokenizer(kTextModel);
  const at::Tensor expected = file.load("clip.texts");
  for (int64_t i = 0; i < 3; ++i) {
    const std::vector<int64_t> ids = tokenizer.encode(numbers["captions"][static_cast<size_t>(i)]);
    const at::Tensor end = at::full({1}, static_cast<int64_t>(ids.size()) - 1, at::kLong);
    const at::Tensor found = model->forward(at::tensor(ids, at::kLong).unsqueeze(0), end)[0];
    EXPECT_TRUE(test::close(found, expected[i], 1e-5)) << i;
  }
  EXPECT_NE(test::error_of([&] {
              model->forward(at::zeros({1, 78}, at::kLong), at::zeros({1}, at::kLong));
            }).find("ids [1, 78], expected [n, 1 to 77]"),
            std::string::npos);
}

// A token that comes after the end changes nothing: attention is causal.
TEST(ClipText, TextsOfOneBatchDoNotDependOnPadding) {
  const at::NoGradGuard no_grad;
  ClipText model = load_clip_text(kTextModel, at::kCPU);
  const at::Tensor ids = at::randint(500, {2, 9}, at::kLong), ends = at::tensor(std::vector<int64_t>{8, 5}, at::kLong);
  const at::Tensor both = model->forward(ids, ends);
  const at::Tensor alone = model->forward(ids.narrow(0, 1, 1).narrow(1, 0, 6), ends.narrow(0, 1, 1));
  EXPECT_TRUE(test::close(both[1], alone[0], 1e-6));
}

}  // namespace
}  // namespace moga
