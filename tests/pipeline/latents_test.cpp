// Latents are read from a file as they were written; a file without latents gives a one-line error that names it.
#include "moga/pipeline/latents.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/safetensors.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

std::string message_of_loading(const TensorMap& tensors) {
  test::Folder folder;
  save_safetensors(folder / "a.safetensors", tensors);
  return test::error_of([&] { load_latents(folder / "a.safetensors"); });
}

TEST(Latents, ReturnFromTheirFile) {
  test::Folder folder;
  const at::Tensor latents = at::randn({4, 3, 2, 6});
  save_latents(folder / "new/a.safetensors", latents.transpose(2, 3));
  EXPECT_TRUE(at::equal(load_latents(folder / "new/a.safetensors"), latents.transpose(2, 3)));
  save_safetensors(folder / "b.safetensors", {{"latents", latents.unsqueeze(0).to(at::kHalf)}});
  EXPECT_TRUE(at::equal(load_latents(folder / "b.safetensors"), latents.to(at::kHalf).to(at::kFloat)));
}

TEST(Latents, OtherThingsGetOneLine) {
  EXPECT_NE(message_of_loading({{"x", at::ones(1)}}).find("no tensor \"latents\" among 1"), std::string::npos);
  EXPECT_NE(message_of_loading({{"latents", at::ones({2, 4, 1, 2, 2})}}).find("latents [2, 4, 1, 2, 2], expected"),
            std::string::npos);
  EXPECT_NE(message_of_loading({{"latents", at::ones({4, 1, 2, 2}, at::kInt)}}).find("latents are Int"),
            std::string::npos);
  EXPECT_EQ(test::error_of([] { load_latents("nothing.safetensors"); }),
            "nothing.safetensors: cannot be opened: No such file or directory");
}

}  // namespace
}  // namespace moga
