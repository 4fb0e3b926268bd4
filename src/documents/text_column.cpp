#include "text_column.h"

#include <memory>
#include <new>
#include <optional>
#include <string_view>

#include "record_text.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"

namespace sgpt_mi::documents {
namespace {

using arrow::Array;
using arrow::Type;

/// Names of all fields, those in structs joined by dots.
void list_names(const arrow::FieldVector& fields, const std::string& prefix,
                std::vector<std::string>& names) {
  for (const std::shared_ptr<arrow::Field>& field : fields) {
    names.push_back(prefix + field->name());
    if (field->type()->id() == Type::STRUCT) {
      list_names(field->type()->fields(), names.back() + ".", names);
    }
  }
}

std::optional<arrow::FieldPath> find_field(const arrow::Schema& schema, const std::string& name) {
  const int column = schema.GetFieldIndex(name);
  if (column >= 0) return arrow::FieldPath({column});
  std::vector<arrow::FieldRef> parts;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    parts.emplace_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  const auto found = arrow::FieldRef(std::move(parts)).FindOneOrNone(schema);
  if (!found.ok() || found->empty()) return std::nullopt;
  return *found;
}

template <typename Strings>
std::string_view view(const Array& array, std::int64_t i) {
  return static_cast<const Strings&>(array).GetView(i);
}

/// The bytes of element i; nothing in an array of another type, or where the element is null.
std::optional<std::string_view> bytes_at(const Array& array, std::int64_t i) {
  if (array.IsNull(i)) return std::nullopt;
  switch (array.type_id()) {
    case Type::STRING:
      return view<arrow::StringArray>(array, i);
    case Type::LARGE_STRING:
      return view<arrow::LargeStringArray>(array, i);
    case Type::STRING_VIEW:
      return view<arrow::StringViewArray>(array, i);
    case Type::BINARY:
      return view<arrow::BinaryArray>(array, i);
    case Type::LARGE_BINARY:
      return view<arrow::LargeBinaryArray>(array, i);
    case Type::BINARY_VIEW:
      return view<arrow::BinaryViewArray>(array, i);
    case Type::DICTIONARY: {
      const auto& coded = static_cast<const arrow::DictionaryArray&>(array);
      return bytes_at(*coded.dictionary(), coded.GetValueIndex(i));
    }
    case Type::EXTENSION:
      return bytes_at(*static_cast<const arrow::ExtensionArray&>(array).storage(), i);
    default:
      return std::nullopt;
  }
}

/// The elements of list i; nothing in an array of another type.
std::shared_ptr<Array> list_at(const Array& array, std::int64_t i) {
  if (array.IsNull(i)) return nullptr;
  switch (array.type_id()) {
    case Type::LIST:
      return static_cast<const arrow::ListArray&>(array).value_slice(i);
    case Type::LARGE_LIST:
      return static_cast<const arrow::LargeListArray&>(array).value_slice(i);
    case Type::FIXED_SIZE_LIST:
      return static_cast<const arrow::FixedSizeListArray&>(array).value_slice(i);
    case Type::LIST_VIEW:
      return static_cast<const arrow::ListViewArray&>(array).value_slice(i);
    case Type::LARGE_LIST_VIEW:
      return static_cast<const arrow::LargeListViewArray&>(array).value_slice(i);
    default:
      return nullptr;
  }
}

void add_list(const Array& elements, MessageList& list);

/// One element of a list as the events of the JSON array that it would be.
void add_element(const Array& elements, std::int64_t i, MessageList& list) {
  if (const auto text = bytes_at(elements, i)) return list.string(std::string(*text));
  if (const auto inner = list_at(elements, i)) {
    list.open(false);
    add_list(*inner, list);
    static_cast<void>(list.close());
  } else if (elements.type_id() == Type::STRUCT && elements.IsValid(i)) {
    const auto& message = static_cast<const arrow::StructArray&>(elements);
    list.open(true);
    for (int f = 0; f < message.num_fields(); ++f) {
      list.key(message.struct_type()->field(f)->name());
      add_element(*message.field(f), i, list);
    }
    static_cast<void>(list.close());
  }
}

void add_list(const Array& elements, MessageList& list) {
  for (std::int64_t i = 0; i < elements.length(); ++i) add_element(elements, i, list);
}

std::optional<std::string> text_at(const Array& array, std::int64_t i) {
  if (const auto bytes = bytes_at(array, i)) return std::string(*bytes);
  const auto elements = list_at(array, i);
  if (elements == nullptr) return std::nullopt;
  MessageList list;
  add_list(*elements, list);
  return std::move(list).text();
}

const arrow::DataType& plain_type(const arrow::DataType& type) {
  if (type.id() == Type::DICTIONARY) {
    return plain_type(*static_cast<const arrow::DictionaryType&>(type).value_type());
  }
  if (type.id() == Type::EXTENSION) {
    return plain_type(*static_cast<const arrow::ExtensionType&>(type).storage_type());
  }
  return type;
}

void require_texts(const Array& array, const std::string& label) {
  const arrow::DataType& type = plain_type(*array.type());
  const Type::type id = type.id();
  const bool holds = arrow::is_base_binary_like(id) || arrow::is_binary_view_like(id) ||
                     arrow::is_var_length_list_like(id) || id == Type::FIXED_SIZE_LIST ||
                     id == Type::NA;  // every text is missing: the row is named
  if (holds) return;
  fail(
      ErrorKind::kInput,
      "io: {}: the text column holds {}; strings were expected, or lists of messages; name another "
      "column by --text_key",
      label, printable(array.type()->ToString()));
}

}  // namespace

void check_arrow(const arrow::Status& status, const std::string& label, std::string_view format) {
  if (status.ok()) return;
  const bool capped = status.message().find("cap exceeded") != std::string::npos;  // memory_for()
  if (status.IsOutOfMemory() && !capped) throw std::bad_alloc();
  fail(ErrorKind::kInput, "io: {} cannot be read as {}: {}; get the file again", label, format,
       printable(status.message()));
}

arrow::FieldPath find_text_column(const arrow::Schema& schema, const RecordFile& file) {
  const std::vector<std::string> wanted = wanted_keys(file.text_key);
  for (const std::string& name : wanted) {
    if (const auto path = find_field(schema, name)) return *path;
  }
  std::vector<std::string> names;
  list_names(schema.fields(), "", names);
  fail(ErrorKind::kInput, "io: {} {}", file.label, missing_text(wanted, "columns", names));
}

void append_texts(const Array& column, const arrow::FieldPath& path, const RecordFile& file,
                  std::vector<std::string>& texts) {
  std::shared_ptr<Array> inner;
  const Array* array = &column;
  for (std::size_t i = 1; i < path.indices().size(); ++i) {
    inner = take_arrow(static_cast<const arrow::StructArray&>(*array).GetFlattenedField(path[i]),
                       file.label, "a table");
    array = inner.get();
  }
  require_texts(*array, file.label);
  for (std::int64_t row = 0; row < array->length() && texts.size() < file.limit; ++row) {
    std::optional<std::string> text = text_at(*array, row);
    if (!text) fail(ErrorKind::kInput, "io: {} row {} has no text", file.label, texts.size() + 1);
    check_utf8(*text, file.label, fmt::format("of the text of row {}", texts.size() + 1));
    texts.push_back(*std::move(text));
  }
}

}  // namespace sgpt_mi::documents
