// Parts of a checkpoint in pieces: any piece is read from whatever pieces the files have, and nothing is missed.
#include "moga/train/loop/checkpoint_parts.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

const at::Tensor kMatrix = at::arange(40, at::kFloat).view({5, 8});

// Elements [cuts[i], cuts[i + 1]) in file i, and a whole tensor in the first.
std::vector<std::filesystem::path> save_in_pieces(const test::Folder& folder, const std::vector<int64_t>& cuts) {
  std::vector<std::filesystem::path> files;
  const auto ranks = static_cast<int64_t>(cuts.size()) - 1;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    files.push_back(folder / shard_file_name("model", rank, ranks));
    const TensorMap tensors = {{"w", kMatrix.view({-1}).slice(0, cuts[rank], cuts[rank + 1])},
                               {"steps", at::full({}, 7.f)}};
    save_shard(files.back(), tensors, {{"w", {{5, 8}, cuts[rank]}}}, rank == 0);
  }
  return files;
}

TEST(CheckpointParts, AnyPieceIsReadFromAnyPieces) {
  const test::Folder folder;
  const PartReader reader(save_in_pieces(folder, {0, 13, 14, 40}));
  for (const auto& [begin, count] : {std::pair<int64_t, int64_t>{0, 13}, {5, 20}, {13, 1}, {14, 26}, {0, 40}}) {
    const at::Tensor piece = at::zeros({count});
    reader.restore("w", piece, {{5, 8}, begin});
    EXPECT_TRUE(at::equal(piece, kMatrix.view({-1}).narrow(0, begin, count))) << begin << " + " << count;
  }
  const at::Tensor whole = at::zeros({5, 8}), steps = at::zeros({});
  reader.restore("w", whole, {{5, 8}});
  reader.restore("steps", steps, {});
  EXPECT_TRUE(at::equal(whole, kMatrix));
  EXPECT_EQ(steps.item<float>(), 7);
}

TEST(CheckpointParts, AWholeFileServesPieces) {
  const test::Folder folder;
  save_safetensors(folder / "model.safetensors", {{"w", kMatrix}});
  const at::Tensor piece = at::zeros({9});
  PartReader({folder / "model.safetensors"}).restore("w", piece, {{5, 8}, 4});
  EXPECT_TRUE(at::equal(piece, at::arange(4, 13, at::kFloat)));
}

TEST(CheckpointParts, SaysWhatIsMissing) {
  const test::Folder folder;
  const auto files = save_in_pieces(folder, {0, 13, 40});
  const auto error = [&](const std::string& name, const at::Tensor& tensor, const Placement& placement) {
    return test::error_of([&] { PartReader({files[1]}).restore(name, tensor, placement); });
  };
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(has(error("w", at::zeros({40}), {{5, 8}}), "27 of 40 elements of w are in the files"));
  EXPECT_TRUE(has(error("b", at::zeros({1}), {{1}}), "no tensor b"));
  EXPECT_TRUE(has(error("w", at::zeros({27}), {{8, 5}, 13}), "w has shape [5, 8], expected [8, 5]"));
  EXPECT_TRUE(has(error("w", at::zeros({27}, at::kBFloat16), {{5, 8}, 13}), "w is float32, expected bfloat16"));
}

TEST(CheckpointParts, FilesAreKnownByTheirNames) {
  EXPECT_EQ(shard_file_name("ema", 1, 4), "ema-00002-of-00004.safetensors");
  EXPECT_TRUE(is_file_of_part("ema-00002-of-00004.safetensors", "ema"));
  EXPECT_TRUE(is_file_of_part("ema.safetensors", "ema"));
  EXPECT_FALSE(is_file_of_part("ema-old.safetensors", "ema"));
  EXPECT_FALSE(is_file_of_part("model-00002-of-00004.safetensors", "ema"));
}

}  // namespace
}  // namespace moga
