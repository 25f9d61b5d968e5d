// Tensors are read from files as they were written; a damaged or foreign file gives a one-line error that names it.
#include "moga/core/safetensors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <random>

#include "moga/core/files.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

// The bytes of a file with this header and so much data.
std::string file_bytes(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
  return bytes + header + std::string(data_bytes, '\x3c');
}

// The message with which opening a file of these bytes fails; empty when it opens.
std::string error_in(const std::string& bytes) {
  static const test::Folder folder;
  const std::filesystem::path path = folder / "model.safetensors";
  std::ofstream(path, std::ios::binary) << bytes;
  const std::string message = test::error_of([&] { Safetensors(path).load_all(); });
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  EXPECT_TRUE(message.empty() || message.starts_with(path.string())) << message;
  return message;
}

#define EXPECT_REFUSED(bytes, message) EXPECT_NE(error_in(bytes).find(message), std::string::npos) << error_in(bytes)

TEST(Safetensors, EveryDtypeRoundTrips) {
  const test::Folder folder;
  TensorMap tensors;
  for (const at::ScalarType dtype :
       {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kFloat8_e4m3fn, at::kFloat8_e5m2, at::kLong, at::kInt,
        at::kShort, at::kChar, at::kByte, at::kBool})
    tensors[at::toString(dtype)] = at::randint(2, {3, 5}, at::kFloat).to(dtype);
  save_safetensors(folder / "model.safetensors", tensors, {{"step", "12"}});
  const Safetensors file(folder / "model.safetensors");
  EXPECT_EQ(file.names().size(), tensors.size());
  EXPECT_EQ(file.metadata().at("step"), "12");
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(file.dtype(name), tensor.scalar_type());
    EXPECT_TRUE(at::equal(file.load(name).to(at::kFloat), tensor.to(at::kFloat))) << name;
  }
}

TEST(Safetensors, OddShapesAndStridesRoundTrip) {
  const test::Folder folder;
  const TensorMap tensors{{"empty", at::empty({0, 4})},
                          {"scalar", at::scalar_tensor(2.5)},
                          {"strided", at::arange(12, at::kFloat).view({3, 4}).t()},
                          {"wanted", at::ones({3}).requires_grad_()}};
  save_safetensors(folder / "model.safetensors", tensors);
  for (const auto& [name, loaded] : Safetensors(folder.path()).load_all())
    EXPECT_TRUE(loaded.sizes() == tensors.at(name).sizes() && at::equal(loaded, tensors.at(name))) << name;
}

TEST(Safetensors, ALoadedTensorOutlivesAndLeavesTheFile) {
  const test::Folder folder;
  save_safetensors(folder / "model.safetensors", {{"w", at::ones({4})}});
  const at::Tensor loaded = Safetensors(folder / "model.safetensors").load("w");
  save_safetensors(folder / "model.safetensors", {{"w", at::zeros({4})}});
  EXPECT_TRUE(at::equal(loaded, at::ones({4})));
}

// Bytes of mapped files that are resident in this process.
int64_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (int64_t kib = 0; word == "RssFile:" && status >> kib) return kib << 10;
  return 0;
}

TEST(Safetensors, ALoadedTensorLeavesNoPagesOfItsFile) {
  const test::Folder folder;
  TensorMap tensors;
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) tensors[name] = at::ones({4 << 20});  // 16 MiB each
  save_safetensors(folder / "model.safetensors", tensors);
  tensors.clear();
  const Safetensors file(folder / "model.safetensors");
  const int64_t before = resident_file_bytes();
  for (const std::string& name : file.names()) {
    EXPECT_EQ(file.load(name).sum().item<float>(), 4 << 20);
    EXPECT_LT(resident_file_bytes() - before, 8 << 20) << name;
  }
  EXPECT_EQ(file.load("a").sum().item<float>(), 4 << 20);  // released pages are read again
}

TEST(Safetensors, WhatTheHeaderClaimsIsChecked) {
  const std::string ok = R"({"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})";
  EXPECT_EQ(error_in(file_bytes(ok, 16)), "");
  EXPECT_REFUSED(file_bytes(ok, 15), "tensor \"w\": data_offsets [0, 16] leave the file, whose data has 15 bytes");
  EXPECT_REFUSED(file_bytes(R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,16]}})", 16),
                 "tensor \"w\": shape [2,3] of F32 takes 24 bytes, found 16");
  EXPECT_REFUSED(file_bytes(R"({"w":{"dtype":"F33","shape":[4],"data_offsets":[0,16]}})", 16),
                 "dtype \"F33\" is unknown");
  EXPECT_REFUSED(file_bytes(R"({"w":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}})", 16), "whole numbers");
  EXPECT_REFUSED(file_bytes(R"({"w":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}})", 16), "run backwards");
  EXPECT_REFUSED(file_bytes(R"({"w":{"dtype":"F32","shape":[4611686018427387904,2,2],"data_offsets":[0,0]}})", 16),
                 "is too large");
  EXPECT_REFUSED(file_bytes(R"({"w":{"dtype":"F32","shape":[4]}})", 16), "data_offsets is missing");
  EXPECT_REFUSED(file_bytes(R"({"w":[]})", 16), "expected a JSON object, found array");
  EXPECT_REFUSED(file_bytes(R"({"__metadata__":{"step":3}})", 0), "__metadata__ \"step\" must be a string");
}

TEST(Safetensors, OverlapsAndDuplicatesAreRefused) {
  EXPECT_REFUSED(file_bytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                            R"("b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
                            8),
                 "tensors \"a\" and \"b\" overlap at byte 3");
  EXPECT_REFUSED(file_bytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                            R"("a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                            8),
                 "\"a\" occurs twice");
}

TEST(Safetensors, WhatTheFormatsOwnReaderRefusesIsRefused) {
  const std::string a = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)", b = R"(,"b":{"dtype":"U8","shape":[0],)";
  EXPECT_REFUSED(file_bytes(a + "[2,6]}}", 6), "bytes 0 to 2 of the data, after the header, belong to no tensor");
  EXPECT_REFUSED(file_bytes(a + "[0,4]}}", 6), "the last 2 of 6 bytes of the data belong to no tensor");
  EXPECT_REFUSED(file_bytes(a + "[0,4]}" + b + R"("data_offsets":[2,2]}})", 4), "overlap at byte 2");
  EXPECT_REFUSED(file_bytes(a + "[0,4]}}" + std::string("\0x", 2), 4), "contains a zero byte");
  EXPECT_REFUSED(file_bytes("\xEF\xBB\xBF" + a + "[0,4]}}", 4), "byte order mark");
  EXPECT_REFUSED(file_bytes(a + "[0,4]}} x", 4), "malformed JSON");
}

TEST(Safetensors, WhatTheFormatsOwnReaderOpensIsOpened) {
  EXPECT_EQ(error_in(file_bytes("{}", 0)), "");
  EXPECT_EQ(error_in(file_bytes("{}" + std::string(638, ' '), 0)), "");  // its length begins like a pickle
  EXPECT_EQ(error_in(file_bytes(R"(  {"__metadata__":null}  )", 0)), "");
  EXPECT_EQ(error_in(file_bytes(R"({"a":{"dtype":"F64","shape":[4611686018427387904,0],"data_offsets":[0,0]}})", 0)),
            "");
  EXPECT_EQ(error_in(file_bytes(R"({"c":{"dtype":"C64","shape":[1],"data_offsets":[0,8]},)"
                                R"("e":{"dtype":"F8_E8M0","shape":[1],"data_offsets":[8,9]}})",
                                9)),
            "");
}

TEST(Safetensors, OnlyRegularFilesAreRead) {
  const test::Folder folder;
  mkfifo((folder / "model.safetensors").c_str(), 0600);
  EXPECT_NE(test::error_of([&] { Safetensors{folder.path()}; }).find("is a pipe, expected a file"), std::string::npos);
  EXPECT_EQ(test::error_of([] { Safetensors{"/dev/zero"}; }), "/dev/zero: is a device, expected a file");
}

TEST(Safetensors, WhatIsNoSafetensorsFileIsNamed) {
  EXPECT_REFUSED("", "has 0 bytes, too few for a header");
  EXPECT_REFUSED(std::string("PK\x03\x04 and more", 14), "is a PyTorch pickle");
  EXPECT_REFUSED("PK\x03\x04" + std::string(200, '\0'), "is a PyTorch pickle");
  EXPECT_REFUSED(std::string("\x80\x02}q\x00(X\x06\x00\x00\x00", 11), "is a PyTorch pickle");
  EXPECT_REFUSED("version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer");
  EXPECT_REFUSED(std::string(64, '\xff'), "is beyond the format's limit");
  EXPECT_REFUSED(file_bytes("{\"w\":", 0), "malformed JSON");
  EXPECT_REFUSED(file_bytes("[]", 0), "expected a JSON object, found array");
  EXPECT_REFUSED(file_bytes("{}", 0).substr(0, 9), "is it truncated?");
  EXPECT_EQ(test::error_of([] { Safetensors("no/such/file.safetensors"); }),
            "no/such/file.safetensors: cannot be opened: No such file or directory");
}

TEST(Safetensors, DamagedHeadersNeverCrash) {
  const std::string good =
      file_bytes(R"({"__metadata__":{"k":"v"},"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},)"
                 R"("b":{"dtype":"I64","shape":[1],"data_offsets":[12,20]}})",
                 20);
  ASSERT_EQ(error_in(good), "");
  for (size_t length = 0; length < good.size(); ++length) EXPECT_NE(error_in(good.substr(0, length)), "") << length;
  std::mt19937 random(1);
  int refused = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    std::string bad = good;
    for (int flips = 1 + trial % 3; flips > 0; --flips) bad[random() % (bad.size() - 20)] ^= char(1 << (random() % 8));
    refused += !error_in(bad).empty();
  }
  EXPECT_GT(refused, 500);
}

TEST(SafetensorsIndex, ReadsTheTensorsOfAllItsFiles) {
  const test::Folder folder;
  save_safetensors(folder / "model-1.safetensors", {{"a", at::ones({2})}, {"unlisted", at::ones({2})}});
  save_safetensors(folder / "model-2.safetensors", {{"b", at::zeros({3})}});
  write_text(folder / "model.safetensors.index.json",
             R"({"metadata":{"total_size":20},"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}})");
  const Safetensors model(folder.path());
  EXPECT_EQ(model.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(at::equal(model.load("b"), at::zeros({3})));
}

TEST(SafetensorsIndex, MissingFilesAndTensorsAreNamed) {
  const test::Folder folder;
  save_safetensors(folder / "model-1.safetensors", {{"a", at::ones({2})}});
  const auto error = [&](const std::string& map) -> std::string {
    write_text(folder / "model.safetensors.index.json", "{\"weight_map\":" + map + "}");
    return test::error_of([&] { Safetensors(folder / "model.safetensors.index.json"); });
  };
  EXPECT_NE(error(R"({"a":"model-2.safetensors"})").find("\"model-2.safetensors\", which is missing"),
            std::string::npos);
  EXPECT_NE(error(R"({"z":"model-1.safetensors"})").find("\"z\" is not in \"model-1.safetensors\""), std::string::npos);
  EXPECT_NE(error(R"({"a":"../model-1.safetensors"})").find("expected a file next to the index"), std::string::npos);
  EXPECT_NE(error("3").find("weight_map is missing or not an object"), std::string::npos);
}

TEST(Safetensors, ShardsNeedTheirIndex) {
  const test::Folder folder;
  for (const char* file : {"model-1.safetensors", "model-2.safetensors"})
    save_safetensors(folder / file, {{"a", at::ones({1})}});
  const std::string message = test::error_of([&] { Safetensors file(folder.path()); });
  EXPECT_NE(message.find("holds 2 .safetensors files and no index"), std::string::npos) << message;
}

TEST(SafetensorsFolder, AmbiguousOrEmptyFoldersAreRefused) {
  const test::Folder folder;
  const auto error = [&]() -> std::string { return test::error_of([&] { Safetensors{folder.path()}; }); };
  EXPECT_EQ(error(), folder.path().string() + ": contains no .safetensors file");
  save_safetensors(folder / "a.safetensors", {});
  EXPECT_TRUE(Safetensors(folder.path()).names().empty());
  save_safetensors(folder / "b.safetensors", {});
  EXPECT_EQ(error(), folder.path().string() +
                         ": holds 2 .safetensors files and no index, expected one file, or shards with a "
                         ".safetensors.index.json: a.safetensors, b.safetensors");
}

TEST(SafetensorsSave, WhatTheFormatCannotHoldIsRefusedByName) {
  const test::Folder folder;
  const auto error = [&](const std::string& name, const at::Tensor& tensor) -> std::string {
    return test::error_of([&] { save_safetensors(folder / "m", {{name, tensor}}); });
  };
  const std::string file = (folder / "m").string();
  EXPECT_EQ(error("w", at::zeros({2}, at::kComplexDouble)),
            file + ": tensor w has dtype ComplexDouble, which safetensors does not support");
  EXPECT_EQ(error("w", at::Tensor()), file + ": tensor w is undefined, expected a dense tensor");
  EXPECT_EQ(error("w", at::zeros({2}).to_sparse()), file + ": tensor w has layout Sparse, expected a dense tensor");
  EXPECT_EQ(error("__metadata__", at::zeros({2})), file + ": no tensor can have the name __metadata__");
  EXPECT_EQ(error("\xff", at::zeros({2})),
            file + ": a name or the metadata is not UTF-8: invalid UTF-8 byte at index 0: 0xFF");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace moga
