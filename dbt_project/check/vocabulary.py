"""What columns of till receipts are called, as `plain` gives names, the most telling first."""

from __future__ import annotations

NAMES = {
    "basket": (
        "basketid basket basketno receiptid receipt receiptno receiptnumber ticketid "
        "ticket ticketno ticketnumber transactionid transactionno transactionnumber "
        "transaction transid transno invoiceno invoiceid invoicenumber invoice orderid "
        "orderno ordernumber order billno billid bill saleid tripid visitid bonid bonnr "
        "bonnummer bon belegnr belegnummer beleg numticket facture factura"
    ),
    "product": (
        "productid productcode prodcode productno product skuid sku articleid articleno "
        "articlecode article itemid itemno itemcode itemnumber item stockcode ean upc "
        "gtin barcode plu artikelnr artikelnummer artikelid artikel produit codeproduit "
        "producto articulo"
    ),
    "date": (
        "date shopdate saledate salesdate transactiondate transdate invoicedate orderdate "
        "receiptdate purchasedate businessdate datetime timestamp transactiontimestamp "
        "transactiontime orderdatetime orderts saletimestamp day datum belegdatum "
        "kaufdatum verkaufsdatum fecha jour"
    ),
    "time": (
        "time shoptime saletime timeofday receipttime purchasetime clock uhrzeit zeit heure hora"
    ),
    "quantity": (
        "quantity qty units unitssold salesunits quantitysold pieces noofitems itemcount "
        "menge anzahl stueck quantite cantidad"
    ),
    "unit": (
        "unit uom unitofmeasure quantityunit measure unittype einheit mengeneinheit unite unidad"
    ),
    "paid": (
        "paid amountpaid netamount netsales netspend net spend linetotal salesvalue "
        "salesamount netto nettobetrag bezahlt zahlbetrag umsatz montantnet montantpaye"
    ),
    "amount": (
        "amount sales value revenue turnover total totalprice totalamount lineamount "
        "extendedprice betrag summe gesamt gesamtpreis montant importe"
    ),
    "gross": (
        "gross grossamount grosssales grossvalue fullamount regularamount brutto bruttobetrag "
        "montantbrut"
    ),
    "discount": (
        "discount discountamount discounts promotiondiscount loyaltydiscount markdown "
        "saving savings rabatt nachlass remise descuento"
    ),
    "coupon": "coupon coupons couponamount coupondiscount voucher voucheramount gutschein",
    "price": (
        "unitprice price priceperunit sellingprice salesprice itemprice preis einzelpreis "
        "stueckpreis prix prixunitaire precio"
    ),
    "list_price": "listprice regularprice baseprice rrp originalprice listenpreis normalpreis",
    "customer": (
        "customerid customercode customerno custid custcode customer cardid cardno "
        "cardnumber card loyaltycard loyaltyid memberid member householdid householdkey "
        "household shopperid shopper userid clientid client kundenkarte kundennr "
        "kundennummer kunde karte carte cliente"
    ),
    "store": (
        "storeid storecode storeno storenumber store shopid shop branchid branch outletid "
        "outlet locationid location siteid site filialnr filiale markt marktnr magasin "
        "tienda"
    ),
    "store_format": "storeformat storetype shopformat format banner vertriebsform",
    "store_region": "storeregion region state district area county country bundesland",
    "customer_price_sensitivity": (
        "customerpricesensitivity custpricesensitivity pricesensitivity"
    ),
    "customer_lifestage": (
        "customerlifestage custlifestage lifestage customersegment segment agegroup"
    ),
    "category_1": (
        "subcategory subclass subcommodity subfamily productsubcategory unterwarengruppe"
    ),
    "category_2": (
        "category class commodity productcategory producttype categoryname warengruppe "
        "kategorie categorie categoria"
    ),
    "category_3": "group productgroup family productfamily section gruppe hauptwarengruppe",
    "category_4": "department dept division departmentname abteilung bereich rayon seccion",
}
"""Part of a layout -> names. `amount` may be paid, or what was due before discounts; `gross` was
due before them; `price` is paid for one unit, `list_price` asked for it."""

WEIGHTS = {
    "kg", "kgs", "kilo", "g", "gr", "gram", "grams", "l", "lt", "ltr", "litre", "liter", "litres",
    "liters", "ml", "cl", "lb", "lbs", "oz",
}  # fmt: skip
"""Units of weight and volume."""
FUEL = {
    "fuel", "petrol", "gasoline", "diesel", "kraftstoff", "kraftstoffe", "tankstelle", "carburant"
}  # fmt: skip
"""Departments and categories that are no merchandise."""


def plain(name: str) -> str:
    """A column's name without capitals, blanks and signs."""
    return "".join(sign for sign in name.lower() if sign.isalnum())
