// The tensor files of a checkpoint's parts, whole or in shards of several ranks:
//
//   model.safetensors                    whole tensors, written by one rank
//   model-00002-of-00004.safetensors     1-D pieces of tensors (Placement), written by rank 1 of 4; "pieces" in the
//                                        metadata has the shape of each tensor and where its piece begins
//
// A piece is read from whatever pieces the files have, so a run continues on another number of ranks.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "moga/train/loop/parameters.h"

namespace moga {

// "model-00002-of-00004.safetensors" for rank 1 of 4.
std::string shard_file_name(const std::string& part, int64_t rank, int64_t ranks);
// Whether a file of a checkpoint holds the part or a shard of it.
bool is_file_of_part(const std::string& file, const std::string& part);

// Writes the rank's pieces of a part; rank 0 the tensors without a placement too.
void save_shard(const std::filesystem::path& file, const TensorMap& tensors, const Placements& placements,
                bool with_whole);

// A part in all of its files.
class PartReader {
 public:
  explicit PartReader(const std::vector<std::filesystem::path>& files);

  // Copies what is saved of `name` into `tensor`: the whole of it, or its placement. Throws when the name or elements
  // are missing, or shape or dtype differ.
  void restore(const std::string& name, const at::Tensor& tensor, const Placement& placement) const;
  size_t tensors() const { return pieces_.size(); }

 private:
  struct Piece {
    size_t file = 0;
    int64_t begin = 0, count = 0;
  };
  struct Saved {
    std::vector<int64_t> shape;
    std::vector<Piece> pieces;
  };
  void add_file(size_t index);

  std::vector<Safetensors> files_;
  std::map<std::string, Saved> pieces_;
};

}  // namespace moga
