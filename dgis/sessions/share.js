// What stands behind the # of an address is not sent to anybody: it goes into the form, and out of the address.
const token = location.hash.slice(1);
if (token) {
  history.replaceState(null, "", location.pathname);
  const form = document.forms[0];
  form.elements.token.value = token;
  form.requestSubmit();
}
